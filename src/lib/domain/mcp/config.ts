import { z } from 'zod';
import { environmentName, saying, serverName, servicePort } from '../../infra/config/fields.ts';
import { type ServiceLimits, serviceLimitsSchema } from '../../infra/config/limits-schema.ts';
import { type McpOauth, oauthSchema, scopeEntry, scopeFaults, scopeName, toOauth } from './oauth.ts';
import { type McpVariable, toVariables, variablesSchema } from './variables.ts';

const tool = z
  .strictObject({
    scopes: z
      .array(scopeEntry)
      .default([])
      .describe('What a caller needs for this tool, beside what the server asks for.'),
    timeout_ms: z
      .int()
      .min(100)
      .max(3_600_000)
      .optional()
      .describe('How long a call may take, in milliseconds. Default: `limits.call_timeout_ms` of the profile.'),
    secret: z
      .array(z.string().min(1))
      .default([])
      .describe('Names of arguments whose values the audit never stores, whatever they are called.'),
    terminal_on_success: z.boolean().optional().describe('Accepted from older files; not used.'),
    model_config: z.unknown().optional().describe('Accepted from older files; not used.'),
    ui: z.unknown().optional().describe('Accepted from older files; not used.'),
  })
  .describe('What is asked of the callers of one tool.');

/** One server of `mcp_servers`, as it is written. */
export const mcpServerConfigSchema = z
  .strictObject({
    type: z
      .literal('internal', 'must be internal')
      .default('internal')
      .describe('`internal`: a process that the supervisor runs.'),
    module: z
      .string()
      .min(1)
      .optional()
      .describe('Module of the server: an absolute path, or one relative to the project folder.'),
    binary: z.string().min(1).optional().describe('Older name of `module`.'),
    package: z.string().optional().describe('Accepted from older files; not used.'),
    port: servicePort.describe('Preferred port on loopback.'),
    endpoint: z.string().optional().describe('Accepted from older files; the address follows from the profile.'),
    enabled: z.boolean().default(true).describe('Whether the server is started.'),
    dev_only: z.boolean().default(false).describe('Never published by a deployment.'),
    display_name: saying('write the name that people know the server by')
      .optional()
      .describe('Name for people. Default: its key.'),
    description: saying('write one sentence about what the server offers').describe(
      'What the server offers, in one sentence.',
    ),
    display_in_web: z.boolean().default(true).describe('Whether the registry shows the server.'),
    delegate: z
      .boolean()
      .default(false)
      .describe('Whether the server gets a token of the caller (60 s at most), to act for them at this instance.'),
    oauth: oauthSchema,
    tools: z.record(z.string().min(1), tool).default({}).describe('What is asked of the callers of single tools.'),
    env: z
      .record(environmentName, z.string().meta({ secretReference: true }))
      .default({})
      .describe('Environment variables of the server. Secrets as `${secret:NAME}`.'),
    variables: variablesSchema,
    env_vars: z.array(environmentName).default([]).describe('Names of environment variables that are handed on.'),
    limits: serviceLimitsSchema,
    schemas: z.array(z.unknown()).optional().describe('Accepted from older files; not used.'),
    model_config: z.unknown().optional().describe('Accepted from older files; not used.'),
  })
  .refine((server) => Object.keys(server.variables).every((name) => !Object.hasOwn(server.env, name)), {
    path: ['variables'],
    error: 'declares a variable that env sets as well',
    params: { hint: 'keep it in one of the two' },
  })
  .refine((server) => server.module !== undefined || server.binary !== undefined, {
    error: 'is missing',
    path: ['module'],
    when: ({ value }) => typeof value === 'object' && value !== null,
  })
  .refine((server) => !server.delegate || server.oauth.issuers.length === 0, {
    path: ['delegate'],
    error: 'hands what other issuers say on to this instance',
    params: {
      hint: 'take delegate or oauth.issuers out: a token of another issuer opens one server and nothing beyond it',
    },
  })
  .superRefine((server, context) => {
    for (const { path, message, hint } of scopeFaults(server)) {
      context.addIssue({ code: 'custom', path: [...path], message, params: { hint } });
    }
  });

const ownServerName = serverName.refine((name) => name !== 'registry', {
  error: 'is taken: /api/v1/mcp/registry lists the servers',
});

/** `mcp_servers`, by name. */
export const mcpServersSchema = z.record(ownServerName, mcpServerConfigSchema).describe('MCP servers by name.');

/** A file of `services/mcp/`. */
export const mcpFileSchema = z
  .strictObject({ mcp_servers: mcpServersSchema })
  .describe('MCP servers that the instance runs (services/mcp/*.yaml).');

/** One server as its file has it, complete with defaults. */
export type McpServerYaml = z.output<typeof mcpServerConfigSchema>;

export interface McpToolConfig {
  readonly scopes: readonly string[];
  readonly timeoutMs?: number;
  /** Argument names whose values the audit never stores. */
  readonly secret: ReadonlySet<string>;
}

/** A place in a file, for findings that come after it was read; counted from 1. */
export interface ModulePlace {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

/** One MCP server as the rest of the code knows it. */
export interface McpServerConfig {
  readonly name: string;
  readonly type: 'internal';
  readonly module: string;
  /** Where the configuration names the module. */
  readonly moduleAt: ModulePlace;
  readonly port: number;
  readonly enabled: boolean;
  readonly devOnly: boolean;
  readonly displayName: string;
  readonly description: string;
  readonly displayInWeb: boolean;
  readonly delegate: boolean;
  readonly oauth: McpOauth;
  readonly tools: ReadonlyMap<string, McpToolConfig>;
  readonly env: Readonly<Record<string, string>>;
  readonly variables: readonly McpVariable[];
  /** Where `env` and `variables` name each of theirs. */
  readonly variablesAt: Readonly<Record<string, ModulePlace>>;
  /** Names of environment variables that are handed on from the instance's own. */
  readonly inheritedEnv: readonly string[];
  readonly limits: ServiceLimits;
}

/**
 * A server in the words of the code.
 * @param moduleAt where the configuration names its module
 * @param placeOf where a part of the server is written, by its path below the server's name
 */
export function toServerConfig(
  name: string,
  yaml: McpServerYaml,
  moduleAt: ModulePlace,
  placeOf: (path: readonly string[]) => ModulePlace,
): McpServerConfig {
  const places = (['env', 'variables'] as const).flatMap((part) =>
    Object.keys(yaml[part]).map((variable) => [variable, placeOf([part, variable])] as const),
  );
  return {
    name,
    type: yaml.type,
    module: yaml.module ?? yaml.binary ?? '',
    moduleAt,
    port: yaml.port,
    enabled: yaml.enabled,
    devOnly: yaml.dev_only,
    displayName: yaml.display_name ?? name,
    description: yaml.description,
    displayInWeb: yaml.display_in_web,
    delegate: yaml.delegate,
    oauth: toOauth(
      yaml.oauth,
      Object.values(yaml.tools).flatMap(({ scopes }) => scopes),
    ),
    tools: new Map(
      Object.entries(yaml.tools).map(([toolName, { scopes, timeout_ms: timeoutMs, secret }]) => [
        toolName,
        { scopes: scopes.map(scopeName), secret: new Set(secret), ...(timeoutMs === undefined ? {} : { timeoutMs }) },
      ]),
    ),
    env: yaml.env,
    variables: toVariables(yaml.variables),
    variablesAt: Object.fromEntries(places),
    inheritedEnv: yaml.env_vars,
    limits: yaml.limits,
  };
}
