import { BaseCommand } from '../../../entry/cli/base-command.ts';
import type { Artifact } from '../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../lib/shared/command.ts';
import { PreconditionError } from '../../../lib/shared/errors.ts';

export default class CloudLogin extends BaseCommand<typeof CloudLogin> {
  static override summary = 'Sign in to the cloud; a local tenant needs no account';
  static override description =
    'What runs on this machine is yours by the rights of your user account: nothing has to be signed in to for it, and this ' +
    'command says so.';
  static override examples = ['<%= config.bin %> cloud auth login'];
  static override declaration: CommandDeclaration = {
    effect: 'read',
    permission: 'anonymous',
    needs: 'none',
    localOnly: true,
  };

  protected async execute(): Promise<Artifact> {
    const { locateProject } = await import('../../../lib/infra/config/instance.ts');
    const { options } = this.context;
    const project = await locateProject(options.cwd, options.env);
    if (project === undefined) return notNeeded('A local tenant needs no account: go on and create one.', undefined);
    const { activeProfile, tenantOfProfile } = await import('../../../lib/infra/config/active-profile.ts');
    const { readTenants } = await import('../../../lib/infra/config/tenants-file.ts');
    const tenant = tenantOfProfile(project.projectDir, activeProfile(project, options).name);
    const record = (await readTenants(project)).find(({ id }) => id === tenant);
    if (record?.tenant_type === 'cloud') {
      throw new PreconditionError(
        `The tenant \`${tenant}\` is in the cloud, and there is no cloud to sign in to yet.`,
        {
          hint: 'Go on with a local tenant, which is the whole system on this machine.',
          data: { tenant },
          next: ['cloud tenant list'],
        },
      );
    }
    return notNeeded(`The tenant ${tenant} is a local one and needs no account: nothing to sign in to.`, tenant);
  }
}

function notNeeded(content: string, tenant: string | undefined): Artifact {
  return { type: 'text', content, data: { needed: false, tenant: tenant ?? null } };
}
