import { string as argument } from '@oclif/core/args';
import { BaseCommand } from '../../../entry/cli/base-command.ts';
import { personalTokens } from '../../../entry/cli/personal-tokens.ts';
import { tokenFacts } from '../../../entry/cli/views/tokens.ts';
import type { Artifact } from '../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../lib/shared/command.ts';

export default class TokenRevoke extends BaseCommand<typeof TokenRevoke> {
  static override summary = 'End a personal access token';
  static override description = 'Every process refuses it as soon as the database has announced it.';
  static override examples = ['<%= config.bin %> admin tokens revoke 0b8f7c1e-6a53-4a53-9c39-0d9c8f6f8a11'];
  static override declaration: CommandDeclaration = { effect: 'write', permission: 'user', needs: 'database' };
  static override args = {
    token: argument({ required: true, ignoreStdin: true, description: 'Its id, from admin tokens list' }),
  };

  protected async execute(): Promise<Artifact> {
    const tokens = await personalTokens(this.context);
    const ended = await tokens.revoke(await this.context.currentActor(), this.args.token);
    return { type: 'text', content: `The token ${ended.name} is ${ended.state}.`, data: tokenFacts(ended) };
  }
}
