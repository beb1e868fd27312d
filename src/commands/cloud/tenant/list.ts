import { BaseCommand } from '../../../entry/cli/base-command.ts';
import { tenantsTable } from '../../../entry/cli/views/tenants.ts';
import type { Artifact } from '../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../lib/shared/command.ts';

export default class TenantList extends BaseCommand<typeof TenantList> {
  static override summary = 'List the tenants of this project';
  static override examples = ['<%= config.bin %> cloud tenant list', '<%= config.bin %> cloud tenant list --json'];
  static override declaration: CommandDeclaration = { effect: 'read', permission: 'admin', needs: 'profile' };

  protected async execute(): Promise<Artifact> {
    const { requireProject } = await import('../../../lib/infra/config/instance.ts');
    const { tenantOverviews } = await import('../../../lib/app/tenants/overview.ts');
    const { options } = this.context;
    return tenantsTable(await tenantOverviews(await requireProject(options.cwd, options.env), options));
  }
}
