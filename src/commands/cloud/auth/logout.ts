import { boolean, string } from '@oclif/core/flags';
import { BaseCommand } from '../../../entry/cli/base-command.ts';
import { namedInstance } from '../../../entry/cli/instance-address.ts';
import type { Artifact } from '../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../lib/shared/command.ts';
import { PartialError } from '../../../lib/shared/errors.ts';

export default class CloudLogout extends BaseCommand<typeof CloudLogout> {
  static override summary = 'Sign out of an instance and revoke the sign-in there';
  static override description =
    'With the sign-in go its tokens. Where the instance does not answer, the sign-in is forgotten here all the same, and the ' +
    'command says that it was not revoked; its user can end it on the account page.';
  static override examples = [
    '<%= config.bin %> cloud auth logout --url https://prompt.example.com',
    '<%= config.bin %> cloud auth logout --all',
  ];
  static override declaration: CommandDeclaration = {
    effect: 'write',
    permission: 'anonymous',
    needs: 'none',
    localOnly: true,
  };
  static override flags = {
    url: string({
      helpValue: '<address>',
      exclusive: ['all'],
      summary: 'Of the instance; that of the active profile without it',
    }),
    all: boolean({ summary: 'Of all instances' }),
  };

  protected async execute(): Promise<Artifact> {
    const { CloudSignIns } = await import('../../../lib/app/cloud-auth/sign-ins.ts');
    const { SignInStore } = await import('../../../lib/infra/config/sign-in-store.ts');
    const store = new SignInStore(this.context.options.env);
    const all = await store.list();
    const origins = this.flags.all
      ? [...all.keys()].sort()
      : [(await namedInstance(this.context, this.flags.url, all)).origin];
    const signIns = new CloudSignIns(store);
    const items: { instance: string; user: string; revoked: boolean }[] = [];
    const failures: string[] = [];
    for (const instance of origins) {
      const ended = await signIns.end(instance);
      if (ended === undefined) continue;
      items.push({ instance, user: ended.signIn.user, revoked: ended.failure === undefined });
      if (ended.failure !== undefined) failures.push(`${instance}: ${ended.failure.message}`);
    }
    if (failures.length > 0) {
      this.verdict = new PartialError('Signed out here, and not revoked there', {
        hint: `End it on the account page of the instance (/auth/account). ${failures.join('. ')}`,
        next: ['cloud auth logout --help'],
        data: { instances: items.filter(({ revoked }) => !revoked).map(({ instance }) => instance) },
      });
    }
    return {
      type: 'table',
      columns: [
        { name: 'instance', column_type: 'string' },
        { name: 'user', column_type: 'string' },
        { name: 'revoked', column_type: 'boolean' },
      ],
      items,
      count: items.length,
      empty: this.flags.all ? 'Not signed in anywhere.' : `Not signed in to ${origins.join()}.`,
    };
  }
}
