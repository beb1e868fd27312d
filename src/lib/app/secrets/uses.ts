import type { McpServerConfig } from '../../domain/mcp/index.ts';
import type { Profile } from '../../infra/config/profile.ts';
import { secretReference } from '../../infra/config/secret-reference.ts';
import { isGeneratedSecret, serverSecretName } from '../../infra/config/secrets/names.ts';
import { secretNameOf } from './variables.ts';

/** Where the configuration asks for a secret. */
export interface SecretUse {
  /** The name that it asks for. */
  readonly name: string;
  /** The server that gets it; absent for what belongs to the whole instance. */
  readonly server?: string;
  /** For people: `mcp:crm (API_KEY)`, `profile local (database.url)`. */
  readonly by: string;
  /** It does without. */
  readonly optional?: boolean;
}

/** Every place of services/ and the profile that asks for a secret by name. */
export function secretUses(
  servers: readonly McpServerConfig[],
  profile: Pick<Profile, 'name' | 'database' | 'mail' | 'security'>,
): SecretUse[] {
  const fields: [field: string, value: string | undefined][] = [
    ['database.url', profile.database.url],
    ['mail.smtp.url', profile.mail.smtp?.url],
    ...profile.security.federation.map(({ id, client_secret: secret }): [string, string | undefined] => [
      `security.federation ${id}`,
      secret,
    ]),
    ...profile.security.proxies.map(({ id, key }): [string, string] => [`security.proxies ${id}`, key]),
  ];
  const own = fields.flatMap(([field, value]) => {
    const name = value === undefined ? undefined : secretReference(value);
    return name === undefined ? [] : [{ name, by: `profile ${profile.name} (${field})` }];
  });
  return [...own, ...servers.flatMap(usesOfServer)];
}

function usesOfServer(server: McpServerConfig): SecretUse[] {
  const use = (variable: string, name: string): SecretUse => ({
    name,
    server: server.name,
    by: `mcp:${server.name} (${variable})`,
  });
  const written = Object.entries(server.env).flatMap(([variable, text]) => {
    const name = secretReference(text);
    return name === undefined ? [] : [use(variable, name)];
  });
  const declared = server.variables.flatMap((variable) => {
    const name = secretNameOf(variable);
    return name === undefined ? [] : [{ ...use(variable.name, name), optional: !variable.required }];
  });
  const auth = server.external?.auth;
  const sent = auth?.type === 'key' && auth.per === 'shared' ? [use('upstream_auth', auth.secret)] : [];
  const shown =
    auth?.type === 'oauth' && auth.clientSecret !== undefined ? [use('upstream_auth', auth.clientSecret)] : [];
  return [...written, ...declared, ...sent, ...shown];
}

/** Who uses the secret that is kept under a name, given which names there are: a server's own goes before the shared one. */
export function usersOf(kept: string, uses: readonly SecretUse[], names: ReadonlySet<string>): string[] {
  if (isGeneratedSecret(kept)) return ['the system'];
  return uses
    .filter(({ name, server }) => {
      const own = server === undefined ? undefined : serverSecretName(server, name);
      return kept === (own !== undefined && names.has(own) ? own : name);
    })
    .map(({ by }) => by);
}
