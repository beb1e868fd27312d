import { boolean, string } from '@oclif/core/flags';
import { BaseCommand } from '../../../entry/cli/base-command.ts';
import { confirmed } from '../../../entry/cli/confirm.ts';
import { keySwitch } from '../../../entry/cli/views/keys.ts';
import type { KeySwitch } from '../../../lib/domain/auth/index.ts';
import type { Artifact } from '../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../lib/shared/command.ts';

export default class KeyRotate extends BaseCommand<typeof KeyRotate> {
  static override summary = 'Have the next key sign access tokens';
  static override description =
    'The next key, which was published ahead of its time, begins to sign, and a new next one is made. Nobody has to sign in again. ' +
    'With --revoke all tokens that former keys signed are refused at once. Keys of other servers are left alone.';
  static override examples = [
    '<%= config.bin %> admin keys rotate',
    '<%= config.bin %> admin keys rotate --server crm',
    '<%= config.bin %> admin keys rotate --server crm --revoke --yes',
  ];
  static override declaration: CommandDeclaration = { effect: 'write', permission: 'admin', needs: 'supervisor' };
  static override flags = {
    server: string({
      helpValue: '<name>',
      summary: 'An MCP server that has a key of its own; without it the key of all others',
    }),
    revoke: boolean({ summary: 'Refuse every token that former keys signed' }),
    yes: boolean({ summary: 'Revoke without asking' }),
  };

  protected async execute(): Promise<Artifact> {
    const { server, revoke } = this.flags;
    if (revoke) {
      const whom =
        server === undefined ? 'Everybody who uses what has no key of its own' : `Everybody who uses ${server}`;
      const question = `${whom} is refused until they get new tokens. Go on?`;
      await confirmed({ id: 'admin:keys:rotate', effect: 'ends tokens', question }, this.flags, this.output.session);
    }
    const supervisor = await this.context.supervisor();
    const actorId = this.context.actor?.userId;
    const change = await supervisor.request('POST', '/v1/keys/rotate', { server, revoke, actorId });
    return keySwitch(change as KeySwitch, server);
  }
}
