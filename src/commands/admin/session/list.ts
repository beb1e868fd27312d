import { BaseCommand } from '../../../entry/cli/base-command.ts';
import type { Artifact } from '../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../lib/shared/command.ts';

export default class SessionList extends BaseCommand<typeof SessionList> {
  static override summary = 'List the profiles, and who you are in each';
  static override examples = ['<%= config.bin %> admin session list'];
  static override declaration: CommandDeclaration = {
    effect: 'read',
    permission: 'anonymous',
    needs: 'profile',
    localOnly: true,
  };

  protected async execute(): Promise<Artifact> {
    const { requireProject } = await import('../../../lib/infra/config/instance.ts');
    const { profileSessions } = await import('../../../lib/app/sessions.ts');
    const { options } = this.context;
    const sessions = await profileSessions(await requireProject(options.cwd, options.env), options);
    return {
      type: 'table',
      columns: [
        { name: 'profile', column_type: 'string' },
        { name: 'active', column_type: 'boolean' },
        { name: 'tenant', column_type: 'string' },
        { name: 'state', column_type: 'string' },
        { name: 'user', column_type: 'string' },
        { name: 'expires_at', label: 'EXPIRES', column_type: 'date' },
      ],
      items: sessions.map(({ profile, active, tenant, state, user, expiresAt }) => ({
        profile,
        active,
        tenant: tenant ?? null,
        state,
        user: user ?? null,
        expires_at: expiresAt ?? null,
      })),
      count: sessions.length,
    };
  }
}
