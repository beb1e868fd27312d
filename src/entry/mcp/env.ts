import { z } from 'zod';
import { checkEnvironment, decodeKey, filled, serverVariables } from '../../lib/app/server-environment.ts';
import type { ServiceInstanceId } from '../../lib/shared/ids.ts';

/** What the supervisor tells a server in its environment; docs/extensions-mcp.md says the same to authors of others. */
export interface McpEnvironment {
  /** Key of the server in the configuration. */
  readonly name: string;
  readonly port: number;
  readonly instanceId: ServiceInstanceId;
  /** Verifies the identity header. */
  readonly identityKey: Uint8Array;
  /** Path of the extension's built module. */
  readonly extension: string;
  /** Root of the instance. */
  readonly root: string;
  readonly databaseUrl: string | undefined;
  /** How deep this process stands in calls of the `systemprompt` tool; 0 unless such a call started it. */
  readonly depth: number;
  /** By tool, the arguments whose values are kept out of the log. */
  readonly secretArguments: ReadonlyMap<string, ReadonlySet<string>>;
  /** Names of the variables that the configuration declares. */
  readonly variables: ReadonlySet<string>;
}

const schema = z.object({
  ...serverVariables,
  SYSTEMPROMPT_EXTENSION: filled,
  DATABASE_URL: z.string().optional(),
  SYSTEMPROMPT_SECRET_ARGUMENTS: z
    .string()
    .default('{}')
    .transform(parseJson)
    .pipe(z.record(z.string(), z.array(z.string()), 'is not a list of names by tool')),
  SYSTEMPROMPT_VARIABLES: z.string().default(''),
  SYSTEMPROMPT_DEPTH: z.string().regex(/^\d+$/, 'is not a number').default('0').transform(Number),
});

/** @throws StartRefusedError naming every variable that is wrong, and never the value of one */
export function readEnvironment(env: NodeJS.ProcessEnv): McpEnvironment {
  const data = checkEnvironment(schema, env);
  return {
    name: data.MCP_SERVICE_ID,
    port: data.MCP_PORT,
    instanceId: data.SYSTEMPROMPT_SERVICE_INSTANCE as ServiceInstanceId,
    identityKey: decodeKey(data.SYSTEMPROMPT_IDENTITY_KEY),
    extension: data.SYSTEMPROMPT_EXTENSION,
    root: data.SYSTEMPROMPT_ROOT,
    databaseUrl: data.DATABASE_URL === '' ? undefined : data.DATABASE_URL,
    depth: data.SYSTEMPROMPT_DEPTH,
    variables: new Set(data.SYSTEMPROMPT_VARIABLES.split(',').filter((name) => name !== '')),
    secretArguments: new Map(
      Object.entries(data.SYSTEMPROMPT_SECRET_ARGUMENTS).map(([tool, names]) => [tool, new Set(names)]),
    ),
  };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // the next check refuses it
  }
}
