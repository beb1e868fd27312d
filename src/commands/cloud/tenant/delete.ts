import { string } from '@oclif/core/args';
import { boolean } from '@oclif/core/flags';
import { BaseCommand } from '../../../entry/cli/base-command.ts';
import { confirmed } from '../../../entry/cli/confirm.ts';
import type { DeletionPlan } from '../../../lib/app/tenants/delete.ts';
import type { Artifact } from '../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../lib/shared/command.ts';

export default class TenantDelete extends BaseCommand<typeof TenantDelete> {
  static override summary = 'Delete a tenant with all its data';
  static override description =
    'Stops what runs, ends what was left behind, drops the database that was made for it, and removes data, keys, secrets, ' +
    'logs and its profiles. A database that was there before is left. One that is interrupted is finished by the next.';
  static override examples = [
    '<%= config.bin %> cloud tenant delete acme',
    '<%= config.bin %> cloud tenant delete acme --yes',
  ];
  static override declaration: CommandDeclaration = {
    effect: 'destructive',
    permission: 'admin',
    needs: 'none',
    localOnly: true,
  };
  static override args = { name: string({ required: true, ignoreStdin: true, description: 'The tenant' }) };
  static override flags = { yes: boolean({ char: 'y', summary: 'Delete it without asking' }) };
  protected override readonly confirmsItself = true;

  protected async execute(): Promise<Artifact> {
    const { requireProject } = await import('../../../lib/infra/config/instance.ts');
    const { deleteTenant, planDeletion } = await import('../../../lib/app/tenants/delete.ts');
    const { cwd, env } = this.context.options;
    const { name } = this.args;
    const project = await requireProject(cwd, env);
    const plan = await planDeletion(project, name, env);
    const question = `Delete ${name}: ${inWords(plan)}? It can't be undone.`;
    await confirmed({ id: 'cloud:tenant:delete', effect: 'destroys data', question }, this.flags, this.output.session);
    const { profiles, ended, droppedDatabase } = await deleteTenant(project, name, env);
    const left = plan.database?.created === false ? ` The database ${plan.database.name} is left as it is.` : '';
    return {
      type: 'text',
      content: `Deleted ${name}.${left}`,
      data: { tenant: name, profiles, ended, dropped_database: droppedDatabase ?? null },
    };
  }
}

function inWords({ dir, running, profiles, database }: DeletionPlan): string {
  const parts = [
    ...(running ? ['stop what runs'] : []),
    `remove ${dir} with data, keys and secrets`,
    ...(profiles.length === 0 ? [] : [`the profile${profiles.length === 1 ? '' : 's'} ${profiles.join(', ')}`]),
    ...(database?.created === true ? [`the database ${database.name} on ${database.host}`] : []),
  ];
  return parts.join(', ');
}
