import { string as argument } from '@oclif/core/args';
import { integer, string } from '@oclif/core/flags';
import { askSelect, askText, canAsk } from '../../../entry/cli/ask.ts';
import { BaseCommand } from '../../../entry/cli/base-command.ts';
import { projectOf } from '../../../entry/cli/profile-names.ts';
import type { Instance } from '../../../lib/infra/config/instance.ts';
import type { Artifact } from '../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../lib/shared/command.ts';

export default class CreateProfile extends BaseCommand<typeof CreateProfile> {
  static override summary = 'Create a profile: the settings of one environment';
  static override description =
    'Its API gets a port that no other profile has. Without --tenant it is for the tenant of its name, else for `local`. ' +
    'A profile named development, test, staging or production has that for its environment. One that is there is left as it is.';
  static override examples = [
    '<%= config.bin %> cloud profile create local',
    '<%= config.bin %> cloud profile create staging --from local --port 8090',
    '<%= config.bin %> cloud profile create production --set target=cloud --set server.external_url=https://prompt.example.com',
  ];
  static override declaration: CommandDeclaration = {
    effect: 'write',
    permission: 'admin',
    needs: 'none',
    localOnly: true,
  };
  static override args = { name: argument({ ignoreStdin: true, description: 'Name of the new profile' }) };
  static override flags = {
    tenant: string({ helpValue: '<name>', summary: 'Use the data, secrets and database of this tenant' }),
    from: string({ helpValue: '<profile>', summary: 'Begin with the settings of this profile' }),
    port: integer({ min: 1, max: 65_535, helpValue: '<number>', summary: 'Let the API listen on this port' }),
    set: string({ multiple: true, helpValue: '<field=value>', summary: 'Set a field, such as server.workers=2' }),
  };

  protected async execute(): Promise<Artifact> {
    const { flags, output } = this;
    const { parseAssignment } = await import('../../../lib/app/profiles/assignments.ts');
    const changes = (flags.set ?? []).map(parseAssignment);
    const project = await projectOf(this.context);
    const name = await this.#name();
    const tenant = flags.tenant ?? (flags.from === undefined ? await this.#tenant(project, name) : undefined);
    const { createProfile } = await import('../../../lib/app/profiles/create.ts');
    const { from, port } = flags;
    const { created, file, profile } = await createProfile(project, { name, tenant, from, port, changes });
    const data = {
      profile: name,
      created,
      file,
      tenant: profile.tenant,
      port: profile.server.port,
      url: profile.server.external_url,
    };
    const whose = `for the tenant ${profile.tenant}, API at ${profile.server.external_url}`;
    if (!created) {
      return { type: 'text', content: `The profile ${name} is there already (${whose}) and was left as it is`, data };
    }
    const content = [
      `Created the profile ${name} (${whose})`,
      `  ${file}`,
      `Use it with: ${output.runnable(`cloud profile use ${name}`)}`,
    ].join('\n');
    return { type: 'text', content, data };
  }

  async #name(): Promise<string> {
    const { name } = this.args;
    if (name !== undefined) return name;
    const { profileNameForm } = await import('../../../lib/infra/config/active-profile.ts');
    const validate = (answer: string) =>
      profileNameForm.test(answer) ? undefined : 'Lower-case letters, digits and dashes, at most 50';
    const question = { message: 'Name of the profile?', flag: '<name>', command: 'cloud:profile:create', validate };
    return await askText({ ...question, placeholder: 'staging' }, this.output.session);
  }

  /** Asked where there are several and a person is there; the rule of the description answers else. */
  async #tenant(project: Instance, name: string): Promise<string | undefined> {
    const { profileNames } = await import('../../../lib/infra/config/profile.ts');
    const { readTenants } = await import('../../../lib/infra/config/tenants-file.ts');
    const tenants = await readTenants(project);
    const settled = tenants.length < 2 || tenants.some(({ id }) => id === name);
    if (settled || !canAsk(this.output.session) || (await profileNames(project)).includes(name)) return undefined;
    const choices = tenants.map(({ id }) => ({ value: id }));
    const question = { message: `For which tenant is ${name}?`, flag: '--tenant', command: 'cloud:profile:create' };
    return await askSelect({ ...question, choices }, this.output.session);
  }
}
