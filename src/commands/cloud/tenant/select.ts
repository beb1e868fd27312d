import { string } from '@oclif/core/args';
import { askSelect } from '../../../entry/cli/ask.ts';
import { BaseCommand } from '../../../entry/cli/base-command.ts';
import type { Instance } from '../../../lib/infra/config/instance.ts';
import type { Artifact } from '../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../lib/shared/command.ts';
import { PreconditionError, UsageError } from '../../../lib/shared/errors.ts';

export default class TenantSelect extends BaseCommand<typeof TenantSelect> {
  static override summary = 'Make a tenant the one that commands mean';
  static override description =
    'Selects its profile for the whole project: the one of the tenant’s name, or its only one; of several others say which ' +
    'with --profile. A flag, SYSTEMPROMPT_PROFILE and a folder’s own selection still go before it.';
  static override examples = [
    '<%= config.bin %> cloud tenant select acme',
    '<%= config.bin %> cloud tenant select acme --profile acme-staging',
  ];
  static override declaration: CommandDeclaration = {
    effect: 'write',
    permission: 'admin',
    needs: 'profile',
    localOnly: true,
  };
  static override args = { name: string({ required: true, ignoreStdin: true, description: 'The tenant' }) };

  protected async execute(): Promise<Artifact> {
    const { requireProject } = await import('../../../lib/infra/config/instance.ts');
    const { options } = this.context;
    const project = await requireProject(options.cwd, options.env);
    const profile = await this.#profile(project);
    const { selectProfile } = await import('../../../lib/infra/config/selection.ts');
    await selectProfile(project, profile);
    const { activeProfile } = await import('../../../lib/infra/config/active-profile.ts');
    const now = activeProfile(project, { cwd: options.cwd, env: { ...options.env, SYSTEMPROMPT_PROFILE: '' } });
    const overruled = now.name === profile ? '' : `\n${now.file ?? ''} goes before it here and says ${now.name}.`;
    return {
      type: 'text',
      content: `Commands mean the tenant ${this.args.name} now, by its profile ${profile}.${overruled}`,
      data: { tenant: this.args.name, profile, active_here: now.name },
    };
  }

  async #profile(project: Instance): Promise<string> {
    const { readTenants } = await import('../../../lib/infra/config/tenants-file.ts');
    const { profilesOf, unknownTenant } = await import('../../../lib/app/tenants/names.ts');
    const { name } = this.args;
    const tenants = await readTenants(project);
    if (!tenants.some(({ id }) => id === name)) throw unknownTenant(name, tenants);
    const profiles = await profilesOf(project, name);
    const given = this.context.options.profile;
    if (given !== undefined && given !== this.context.options.env['SYSTEMPROMPT_PROFILE']) {
      if (profiles.includes(given)) return given;
      throw new UsageError(`The profile \`${given}\` is not one of the tenant \`${name}\`.`, {
        hint: profiles.length === 0 ? 'It has none.' : `It has: ${profiles.join(', ')}.`,
        next: ['cloud tenant list'],
      });
    }
    const [first, second] = profiles;
    if (first === undefined) {
      throw new PreconditionError(`The tenant \`${name}\` has no profile.`, {
        hint: 'Name the tenant in a profile.',
        next: [`cloud tenant show ${name}`],
      });
    }
    if (first === name || second === undefined) return first;
    const message = `Which profile of ${name}?`;
    const choices = profiles.map((value) => ({ value }));
    return await askSelect(
      { message, choices, flag: '--profile', command: 'cloud:tenant:select' },
      this.output.session,
    );
  }
}
