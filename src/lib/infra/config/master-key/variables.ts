/** The variable that holds the key, and the one that holds its successor while the two are exchanged. */
export const masterKeyVariables = ['SYSTEMPROMPT_MASTER_KEY', 'SYSTEMPROMPT_MASTER_KEY_NEXT'] as const;

/** Those of the variables by which sources of the master key work that give access to it. */
const keys = [...masterKeyVariables, 'VAULT_TOKEN'] as const;

/** The variables by which sources of the master key work: processes of the core get them, and no others. */
export const keySourceVariables = [...keys, 'DBUS_SESSION_BUS_ADDRESS'] as const;

/** Takes out of an environment what gives access to the master key, once the store is open: no child inherits it. */
export function withdrawKeys(env: NodeJS.ProcessEnv): void {
  for (const name of keys) delete env[name];
}
