import { readFile } from 'node:fs/promises';
import { string as argument } from '@oclif/core/args';
import { boolean, file, string } from '@oclif/core/flags';
import { BaseCommand } from '../../../entry/cli/base-command.ts';
import { roleOptions } from '../../../entry/cli/user-argument.ts';
import { clientCard } from '../../../entry/cli/views/clients.ts';
import type { ClientDraft } from '../../../lib/app/access/clients.ts';
import type { Artifact } from '../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../lib/shared/command.ts';
import { UsageError } from '../../../lib/shared/errors.ts';
import type { Permission } from '../../../lib/shared/permission.ts';

export default class ClientCreate extends BaseCommand<typeof ClientCreate> {
  static override summary = 'Register a service account, an app or an MCP server';
  static override description =
    'A service account signs in as itself, with a secret unless told otherwise; it gets a user of the same name. An app asks people for ' +
    'their sign-in. A server may introspect tokens that are for it, and exchange them to act for its callers elsewhere. A secret ' +
    'is shown this once.';
  static override examples = [
    '<%= config.bin %> admin clients create nightly --service --server notes',
    '<%= config.bin %> admin clients create deploy --service --workload --server notes --scope notes:write',
    '<%= config.bin %> admin clients create notes-server --for notes --exchange-to search',
    '<%= config.bin %> admin clients create editor --redirect-uri http://127.0.0.1/callback',
  ];
  static override declaration: CommandDeclaration = {
    effect: 'write',
    permission: 'admin',
    needs: 'database',
    localOnly: true,
  };
  static override args = {
    id: argument({
      required: true,
      ignoreStdin: true,
      description: 'Lower-case letters, digits, dots, dashes and underscores',
    }),
  };
  static override flags = {
    service: boolean({
      exclusive: ['for', 'redirect-uri'],
      summary: 'A service account: a program that signs in as itself',
    }),
    role: string({
      options: roleOptions,
      multiple: true,
      multipleNonGreedy: true,
      dependsOn: ['service'],
      summary: 'A role of the service account, may be repeated; service without it',
    }),
    server: string({
      multiple: true,
      multipleNonGreedy: true,
      dependsOn: ['service'],
      helpValue: '<name>',
      summary: 'A server that it may have tokens for, may be repeated; all that its roles allow without it',
    }),
    scope: string({
      multiple: true,
      multipleNonGreedy: true,
      dependsOn: ['service', 'server'],
      helpValue: '<scope>',
      summary: 'A scope of that server to grant, may be repeated',
    }),
    workload: boolean({
      dependsOn: ['service'],
      exclusive: ['keys'],
      summary: 'It shows tokens of its platform in place of a secret (security.workload_identity)',
    }),
    keys: file({
      dependsOn: ['service'],
      helpValue: '<file>',
      summary: 'It signs with one of these public keys (a JWK Set) in place of a secret',
    }),
    for: string({ exclusive: ['redirect-uri'], helpValue: '<server>', summary: 'The MCP server that the client is' }),
    'exchange-to': string({
      multiple: true,
      multipleNonGreedy: true,
      dependsOn: ['for'],
      helpValue: '<server>',
      summary: 'A server where it may act for its callers, may be repeated',
    }),
    'redirect-uri': string({
      multiple: true,
      multipleNonGreedy: true,
      helpValue: '<address>',
      summary: 'Where the app has people sent back to, may be repeated',
    }),
    confidential: boolean({ dependsOn: ['redirect-uri'], summary: 'The app runs on a server and keeps a secret' }),
    name: string({ helpValue: '<text>', summary: 'What people see; the id without it' }),
  };

  protected async execute(): Promise<Artifact> {
    const { ClientAdministration } = await import('../../../lib/app/access/clients.ts');
    const draft = await this.#draft();
    const clients = new ClientAdministration(await this.context.database(), await this.context.mcpServers());
    const { client, secret } = await clients.create(await this.context.currentActor(), draft);
    const { service, server = [] } = this.flags;
    const checks = service ? server.map((name) => `admin access check --user ${client.id} --server ${name}`) : [];
    return clientCard(
      client,
      secret,
      checks.map((command) => `  ${this.output.runnable(command)}`),
    );
  }

  async #draft(): Promise<ClientDraft> {
    const { service, workload, keys, name, role = [], server = [], scope = [] } = this.flags;
    const common = { id: this.args.id, name };
    if (service) {
      const proof = workload ? 'workload' : keys === undefined ? undefined : { keys: await readKeys(keys) };
      return { ...common, service: { roles: role as Permission[], servers: server, scopes: scope, proof } };
    }
    const { for: own, 'exchange-to': exchangeTo = [], 'redirect-uri': redirectUris = [], confidential } = this.flags;
    if (own !== undefined) return { ...common, server: { name: own, exchangeTo } };
    if (redirectUris.length > 0) return { ...common, app: { redirectUris, secret: confidential } };
    throw new UsageError('What is the client?', { hint: 'Give --service, --for or --redirect-uri.' });
  }
}

async function readKeys(path: string): Promise<readonly unknown[]> {
  const bad = (cause: unknown) => new UsageError(`${path} is no JWK Set: {"keys": […]}`, { cause });
  try {
    const set = JSON.parse(await readFile(path, 'utf8')) as { keys?: unknown };
    if (Array.isArray(set.keys)) return set.keys;
  } catch (error) {
    throw bad(error);
  }
  throw bad(undefined);
}
