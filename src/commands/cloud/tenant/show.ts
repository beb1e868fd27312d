import { string } from '@oclif/core/args';
import { BaseCommand } from '../../../entry/cli/base-command.ts';
import { tenantCard } from '../../../entry/cli/views/tenants.ts';
import type { Artifact } from '../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../lib/shared/command.ts';

export default class TenantShow extends BaseCommand<typeof TenantShow> {
  static override summary = 'Show a tenant: its ports, its database, its profiles';
  static override examples = ['<%= config.bin %> cloud tenant show', '<%= config.bin %> cloud tenant show acme'];
  static override declaration: CommandDeclaration = { effect: 'read', permission: 'admin', needs: 'profile' };
  static override args = {
    name: string({ ignoreStdin: true, description: 'The tenant; without it that of the active profile' }),
  };

  protected async execute(): Promise<Artifact> {
    const { requireProject } = await import('../../../lib/infra/config/instance.ts');
    const { tenantOverview } = await import('../../../lib/app/tenants/overview.ts');
    const { options } = this.context;
    const tenant = await tenantOverview(await requireProject(options.cwd, options.env), this.args.name, options);
    return tenantCard(`${tenant.name}${tenant.active ? ' (active)' : ''}`, tenant);
  }
}
