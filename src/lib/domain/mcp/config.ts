import { z } from 'zod';
import { environmentName, saying, serverName, servicePort } from '../../infra/config/fields.ts';
import { serviceLimitsSchema } from '../../infra/config/limits-schema.ts';
import { kindFaults, serverKinds } from './config-kinds.ts';
import { breakerSchema, rateLimitSchema } from './config-limits.ts';
import { schemasSchema } from './config-schemas.ts';
import { upstreamAuthSchema } from './config-upstream.ts';
import { targetsSchema } from './config-virtual.ts';
import { toolHooksSchema } from './hooks.ts';
import { oauthSchema, scopeEntry, scopeFaults } from './oauth.ts';
import { variablesSchema } from './variables.ts';

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
    rate_limit: rateLimitSchema.optional(),
    terminal_on_success: z.boolean().optional().describe('Accepted from older files; not used.'),
    model_config: z.unknown().optional().describe('Accepted from older files; not used.'),
    ui: z.unknown().optional().describe('Accepted from older files; not used.'),
  })
  .describe('What is asked of the callers of one tool.');

/** One server of `mcp_servers`, as it is written. */
export const mcpServerConfigSchema = z
  .strictObject({
    type: z
      .enum(serverKinds, { error: 'must be internal, stdio, external or virtual' })
      .default('internal')
      .describe(
        '`internal`: a process of the instance; `stdio`: a command that speaks MCP by its input and output; `external`: a server elsewhere; `virtual`: tools of other servers.',
      ),
    module: z
      .string()
      .min(1)
      .optional()
      .describe('Module of the server: an absolute path, or one relative to the project folder.'),
    binary: z.string().min(1).optional().describe('Older name of `module`.'),
    package: z.string().optional().describe('Accepted from older files; not used.'),
    command: z
      .string()
      .min(1)
      .max(4096)
      .optional()
      .describe(
        'Program of a stdio server, or of an internal one in any language: a name on the PATH, or a path from the project folder.',
      ),
    args: z.array(z.string().max(8192)).max(500).optional().describe('Its arguments. Secrets have no place in them.'),
    cwd: z.string().min(1).optional().describe('The folder that it runs in, from the project folder. Default: that.'),
    instances: z
      .enum(['shared', 'session', 'user'])
      .optional()
      .describe(
        'Whether all callers share one process of the command, or each session or each user has its own. Default: shared.',
      ),
    idle_stop_s: z
      .int()
      .min(0)
      .max(86_400)
      .optional()
      .describe('After how long without use such a process is stopped, in seconds; 0: never. Default: 300.'),
    start_timeout_ms: z
      .int()
      .min(100)
      .max(600_000)
      .optional()
      .describe('How long it may take to begin, in milliseconds. Default: 30000.'),
    user_variables: z
      .array(environmentName)
      .min(1)
      .max(100)
      .optional()
      .describe('Environment variables that each user brings, with `instances: user`.'),
    port: servicePort
      .optional()
      .describe('Preferred port on loopback. Needed by a module; for others one of the range is taken.'),
    endpoint: z
      .string()
      .optional()
      .describe(
        'Address of an external server. Of others it is accepted from older files when it is their own: it follows from the profile.',
      ),
    transport: z
      .enum(['auto', 'streamable-http', 'sse'])
      .optional()
      .describe('How an external server is spoken to; `sse` is the older form. Default: auto.'),
    private_network: z
      .boolean()
      .optional()
      .describe('Whether an external server may be reached by http, and at addresses that are not public.'),
    upstream_auth: upstreamAuthSchema.optional(),
    targets: targetsSchema.optional(),
    enabled: z.boolean().default(true).describe('Whether the server is started.'),
    dev_only: z.boolean().default(false).describe('Never in production: there it is as if it were not enabled.'),
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
    rate_limit: rateLimitSchema.optional(),
    circuit_breaker: breakerSchema,
    tool_policy: z
      .enum(['auto', 'review'])
      .default('auto')
      .describe('Whether new and changed tools are offered at once, or held back until somebody approves them.'),
    schemas: schemasSchema.optional(),
    hooks: toolHooksSchema
      .default([])
      .describe('Rules and hooks for calls of this server, asked in this order, after `settings.tool_hooks`.'),
    model_config: z.unknown().optional().describe('Accepted from older files; not used.'),
  })
  .refine((server) => Object.keys(server.variables).every((name) => !Object.hasOwn(server.env, name)), {
    path: ['variables'],
    error: 'declares a variable that env sets as well',
    params: { hint: 'keep it in one of the two' },
  })
  .superRefine(
    (server, context) => {
      for (const { path, message, hint } of kindFaults(server)) {
        context.addIssue({ code: 'custom', path: [...path], message, params: { hint } });
      }
    },
    { when: ({ value }) => typeof value === 'object' && value !== null },
  )
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

/** One server as its file has it, complete with defaults. */
export type McpServerYaml = z.output<typeof mcpServerConfigSchema>;

const ownServerName = serverName.refine((name) => name !== 'registry', {
  error: 'is taken: /api/v1/mcp/registry lists the servers',
});

/** `mcp_servers`, by name. */
export const mcpServersSchema = z.record(ownServerName, mcpServerConfigSchema).describe('MCP servers by name.');

/** A file of `services/mcp/`. */
export const mcpFileSchema = z
  .strictObject({ mcp_servers: mcpServersSchema })
  .describe('MCP servers of the instance (services/mcp/*.yaml).');
