import { boolean } from '@oclif/core/flags';
import { BaseCommand } from '../../../entry/cli/base-command.ts';
import type { Artifact } from '../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../lib/shared/command.ts';
import { formatDate } from '../../../lib/shared/text/cells.ts';

export default class Logout extends BaseCommand<typeof Logout> {
  static override summary = 'Sign out and revoke the sign-in that this CLI keeps';
  static override examples = ['<%= config.bin %> admin session logout', '<%= config.bin %> admin session logout --all'];
  static override declaration: CommandDeclaration = {
    effect: 'write',
    permission: 'anonymous',
    needs: 'supervisor',
    localOnly: true,
  };

  static override flags = { all: boolean({ summary: 'In all profiles of this project' }) };

  protected async execute(): Promise<Artifact> {
    if (this.flags.all) return await this.#everywhere();
    const { signOut } = await import('../../../lib/app/sign-in.ts');
    const kept = await signOut(this.context);
    if (kept === undefined) return { type: 'text', content: 'Not signed in.', data: { signed_out: false } };
    return {
      type: 'text',
      content: `Signed out ${kept.userName}.`,
      data: { signed_out: true, session_id: kept.sessionId },
    };
  }
  async #everywhere(): Promise<Artifact> {
    const { requireProject } = await import('../../../lib/infra/config/instance.ts');
    const { signOutEverywhere } = await import('../../../lib/app/sign-in.ts');
    const { cwd, env } = this.context.options;
    const done = await signOutEverywhere(await requireProject(cwd, env), env);
    const kept = done.filter(({ revoked }) => !revoked);
    const notes = kept.map(
      ({ profile, expiresAt }) =>
        `${profile}: forgotten here; nothing runs that could revoke it, so its token is good until ${formatDate(expiresAt)}`,
    );
    return {
      type: 'table',
      columns: [
        { name: 'profile', column_type: 'string' },
        { name: 'user', column_type: 'string' },
        { name: 'revoked', column_type: 'boolean' },
      ],
      items: done.map(({ profile, user, revoked }) => ({ profile, user, revoked })),
      count: done.length,
      empty: 'Not signed in anywhere.',
      ...(notes.length === 0 ? {} : { notes }),
    };
  }
}
