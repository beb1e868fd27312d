import { z } from 'zod';

const auth = z.looseObject({ type: z.string(), per: z.enum(['shared', 'user']).optional() });

/** What a bridge has to know of its server: `SYSTEMPROMPT_BRIDGE`, as JSON, without a secret in it. */
export const bridgeSettings = z.object({
  /** `stdio`: a program on standard input and output; `http`: one that listens on MCP_PORT; `external`: an endpoint elsewhere. */
  kind: z.enum(['stdio', 'http', 'external']),
  command: z
    .object({
      program: z.string().min(1),
      args: z.array(z.string()),
      /** Absolute. */
      cwd: z.string().min(1),
    })
    .optional(),
  process: z
    .object({
      instances: z.enum(['shared', 'session', 'user']),
      idleStopMs: z.number().min(0),
      startTimeoutMs: z.number().positive(),
      userVariables: z.array(z.string()).default([]),
    })
    .optional(),
  external: z
    .object({
      endpoint: z.string().min(1),
      transport: z.enum(['auto', 'streamable-http', 'sse']),
      privateNetwork: z.boolean(),
      auth,
    })
    .optional(),
  /** Names of the environment variables that are the server's own. */
  variables: z.array(z.string()).default([]),
});

export type BridgeSettings = z.output<typeof bridgeSettings>;
