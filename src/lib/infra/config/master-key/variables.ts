/** The variable that holds the key, and the one that holds its successor while the two are exchanged. */
export const masterKeyVariables = ['SYSTEMPROMPT_MASTER_KEY', 'SYSTEMPROMPT_MASTER_KEY_NEXT'] as const;

/** Those of the variables by which sources of the master key work that give access to it. */
const keys = [...masterKeyVariables, 'VAULT_TOKEN'] as const;

/** The variables by which sources of the master key work: processes of the core get them, and no others. */
export const keySourceVariables = [...keys, 'DBUS_SESSION_BUS_ADDRESS'] as const;

/** Those of other commands of ours that may hold a password. */
const passwords = ['SYSTEMPROMPT_DATABASE_URL', 'PGPASSWORD'] as const;

/**
 * An environment for programs that are not ours (npm and the scripts of packages, editors): all of it but what gives access to
 * the master key or to a database.
 */
export function withoutSecrets(env: NodeJS.ProcessEnv): Record<string, string> {
  const withheld: ReadonlySet<string> = new Set([...keys, ...passwords]);
  return Object.fromEntries(
    Object.entries(env).filter((pair): pair is [string, string] => pair[1] !== undefined && !withheld.has(pair[0])),
  );
}

/** Takes out of an environment what gives access to the master key, once the store is open: no child inherits it. */
export function withdrawKeys(env: NodeJS.ProcessEnv): void {
  for (const name of keys) delete env[name];
}
