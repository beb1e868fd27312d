import type { McpServerConfig, McpVariable } from '../../domain/mcp/index.ts';
import { secretReference } from '../../infra/config/secret-reference.ts';
import { serverSecretName } from '../../infra/config/secrets/names.ts';
import type { SecretStore } from '../../infra/config/secrets.ts';
import type { ConfigIssue } from '../../shared/errors.ts';

/** What a server gets in its environment because its configuration says so. */
export interface ServerVariables {
  readonly env: Readonly<Record<string, string>>;
  /** Names of those whose values are kept out of its log. */
  readonly secret: readonly string[];
  /** A digest of the values that come from the secret store, which tells whether one has changed; empty when none does. */
  readonly fingerprint: string;
  /** What is missing, each with its place. */
  readonly issues: readonly ConfigIssue[];
}

type Store = Pick<SecretStore, 'get' | 'fingerprint'>;

interface Value {
  readonly name: string;
  readonly value: string;
  readonly secret: boolean;
  readonly kept: boolean;
}

/** The name of the secret that a declared variable takes its value from; undefined when the value is written there. */
export function secretNameOf({ name, value }: McpVariable): string | undefined {
  return value === undefined ? name : secretReference(value);
}

/** Of `env` and `variables` of a server, with the secrets that they ask for. */
export async function serverVariables(server: McpServerConfig, secrets: Store): Promise<ServerVariables> {
  const found = await Promise.all([
    ...Object.entries(server.env).map(([name, text]) => ofEnv(server, name, text, secrets)),
    ...server.variables.map((variable) => ofDeclared(server, variable, secrets)),
  ]);
  const values = found.filter((entry): entry is Value => entry !== undefined && 'value' in entry);
  const kept = values.filter((entry) => entry.kept).map(({ name, value }) => [name, value]);
  return {
    env: Object.fromEntries(values.map(({ name, value }) => [name, value])),
    secret: values.filter((entry) => entry.secret || entry.kept).map(({ name }) => name),
    fingerprint: kept.length === 0 ? '' : await secrets.fingerprint(JSON.stringify([server.name, kept])),
    issues: found.filter((entry): entry is ConfigIssue => entry !== undefined && 'message' in entry),
  };
}

async function ofEnv(
  server: McpServerConfig,
  name: string,
  text: string,
  secrets: Store,
): Promise<Value | ConfigIssue> {
  const reference = secretReference(text);
  if (reference === undefined) return { name, value: text, secret: false, kept: false };
  const value = await kept(server, reference, secrets);
  if (value !== undefined) return { name, value, secret: true, kept: true };
  return missing(
    server,
    name,
    reference,
    `${name} of ${server.name} asks for the secret ${reference}, which is not set`,
  );
}

async function ofDeclared(
  server: McpServerConfig,
  variable: McpVariable,
  secrets: Store,
): Promise<Value | ConfigIssue | undefined> {
  const { name, secret, required } = variable;
  const reference = secretNameOf(variable);
  if (reference === undefined) return { name, value: variable.value ?? '', secret, kept: false };
  const value = await kept(server, reference, secrets);
  if (value !== undefined) return { name, value, secret, kept: true };
  if (variable.default !== undefined) return { name, value: variable.default, secret, kept: false };
  if (!required) return undefined;
  return missing(server, name, reference, `the variable ${name}, which ${server.name} requires, is not set`);
}

/** The server's own goes before the one that all share. */
async function kept(server: McpServerConfig, name: string, secrets: Store): Promise<string | undefined> {
  return (await secrets.get(serverSecretName(server.name, name))) ?? (await secrets.get(name));
}

function missing(server: McpServerConfig, variable: string, secret: string, message: string): ConfigIssue {
  const place = server.variablesAt[variable] ?? server.moduleAt;
  const next = `cloud secrets set ${secret} --server ${server.name}`;
  return { ...place, message, hint: `set it: ${next}`, next };
}
