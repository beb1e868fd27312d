import { string as argument } from '@oclif/core/args';
import { boolean, integer, string } from '@oclif/core/flags';
import { askPassword, canAsk } from '../../../entry/cli/ask.ts';
import { BaseCommand } from '../../../entry/cli/base-command.ts';
import { readStdin } from '../../../entry/cli/stdin.ts';
import { tenantCard } from '../../../entry/cli/views/tenants.ts';
import type { Artifact } from '../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../lib/shared/command.ts';
import { PreconditionError, UsageError } from '../../../lib/shared/errors.ts';

const variable = 'SYSTEMPROMPT_DATABASE_URL';

export default class TenantCreate extends BaseCommand<typeof TenantCreate> {
  static override summary = 'Create a tenant with database, ports and secrets';
  static override description =
    'Without a name it is `local`, in a folder without a project that too. A profile of the same name is made with it. The ' +
    'database is the embedded PostgreSQL, or one of its own on a server of yours: --database-url without the password, which is ' +
    `asked for; or the whole address on standard input, or in ${variable}. On the command line everybody on the machine could read it.`;
  static override examples = [
    '<%= config.bin %> cloud tenant create --type local',
    '<%= config.bin %> cloud tenant create acme --port-base 21000',
    '<%= config.bin %> cloud tenant create acme --database-url postgres://admin@db.example.com:5432',
    '<%= config.bin %> cloud tenant create acme --database-url-stdin',
  ];
  static override declaration: CommandDeclaration = {
    effect: 'write',
    permission: 'admin',
    needs: 'none',
    localOnly: true,
  };
  static override args = {
    name: argument({ ignoreStdin: true, description: 'Lower-case letters, digits and dashes; `local` without it' }),
  };
  static override flags = {
    type: string({ options: ['local', 'cloud'], default: 'local', summary: 'On this machine, or in the cloud' }),
    'database-url': string({
      helpValue: '<url>',
      exclusive: ['database-url-stdin'],
      summary: 'A PostgreSQL server of your own, without the password; without a database name one is made',
    }),
    'database-url-stdin': boolean({
      summary: 'Read the address of the server, with the password, from standard input',
    }),
    'port-base': integer({
      min: 1024,
      max: 65_535,
      helpValue: '<number>',
      summary: 'The first of its 200 ports, of local the port of the API; free ones are found without it',
    }),
  };
  /** The profile that is made here need not be there yet. */
  protected override readonly findsProfileItself = true;

  protected async execute(): Promise<Artifact> {
    const { flags, args, output } = this;
    const { cwd, env } = this.context.options;
    if (flags.type === 'cloud') {
      throw new PreconditionError('There is no cloud to create a tenant in yet.', {
        hint: 'Create a local one, which is the whole system on this machine.',
        next: ['cloud tenant create --type local'],
      });
    }
    const { createTenant } = await import('../../../lib/app/tenants/create.ts');
    const { tenantOverview } = await import('../../../lib/app/tenants/overview.ts');
    const databaseUrl = await this.#databaseUrl();
    const name = args.name ?? 'local';
    const made = await createTenant({ cwd, env, name, portBase: flags['port-base'], databaseUrl });
    const tenant = await tenantOverview(made.instance, name, { cwd, env });
    const profile = tenant.profiles[0];
    const start = `infra services start${profile === undefined || tenant.active ? '' : ` --profile ${profile}`}`;
    const card = tenantCard(
      made.created ? `Created ${name}` : `${name} is there already, and is left as it is`,
      tenant,
      [output.runnable(start)],
    );
    const { created, projectCreated, profileCreated, kept } = made;
    const facts = { created, project_created: projectCreated, profile_created: profileCreated, kept };
    const end = [...kept, output.runnable('infra services cleanup')].join('\n');
    const left = kept.length === 0 ? [] : [{ heading: 'Left behind by a maker that was killed', content: end }];
    return { ...card, sections: [...card.sections, ...left], data: { ...card.data, ...facts } };
  }

  async #databaseUrl(): Promise<string | undefined> {
    const { flags } = this;
    if (flags['database-url-stdin']) return withProtocol((await readStdin('--database-url-stdin')).trim());
    const given = flags['database-url'];
    if (given === undefined) {
      const fromEnvironment = this.context.options.env[variable];
      return fromEnvironment ? withProtocol(fromEnvironment) : undefined;
    }
    const url = new URL(withProtocol(given));
    if (url.password !== '' || url.searchParams.has('password')) {
      throw new UsageError('A password on the command line can be read by everybody on this machine.', {
        hint: `Leave it out and answer the question, or give the address on standard input or in ${variable}`,
        next: ['cloud tenant create --help'],
      });
    }
    const password = this.context.options.env['PGPASSWORD'] ?? (await this.#askedPassword(url));
    url.password = encodeURIComponent(password);
    return url.href;
  }

  /** Empty where nobody can be asked: the server may let the role in without. */
  async #askedPassword({ host, username }: URL): Promise<string> {
    const { session } = this.output;
    if (!canAsk(session)) return '';
    const message = `Password of ${username || 'the role'} on ${host || 'localhost'} (Enter for none)`;
    return await askPassword({ message, flag: '--database-url-stdin', command: 'cloud:tenant:create' }, session);
  }
}

/** @throws UsageError without quoting it: it may hold a password */
function withProtocol(text: string): string {
  if (/^postgres(ql)?:\/\//.test(text) && URL.canParse(text)) return text;
  throw new UsageError('The address of the database is no postgres:// URL.', {
    hint: 'Write it as postgres://user@host:5432, or with a database name behind it',
  });
}
