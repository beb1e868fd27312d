import { z } from 'zod';
import { toolHooksSchema } from '../../domain/mcp/index.ts';
import { servicePort, slug } from '../../infra/config/fields.ts';

const portRange = (what: string) =>
  z
    .tuple([servicePort, servicePort])
    .refine(([from, to]) => from <= to, {
      error: 'must begin with the lower port',
      params: { hint: 'write it as [<lower>, <higher>]' },
    })
    .optional()
    .describe(
      `First and last port that ${what} may name, both included, within the profile's range. Default: that range.`,
    );

/** `settings`: what holds for all of `services/`. */
export const settingsSchema = z
  .strictObject({
    agent_port_range: portRange('an agent'),
    mcp_port_range: portRange('an MCP server'),
    tool_artifacts_days: z
      .int()
      .min(0)
      .max(3650)
      .default(30)
      .describe('How long the artifacts that tools return are kept, in days; 0: none are kept. Default: 30.'),
    tool_hooks: toolHooksSchema
      .default([])
      .describe('Rules and hooks for the calls of all MCP servers, asked in this order, before those of a server.'),
  })
  .describe('What holds for all of services/.');

export type Settings = z.output<typeof settingsSchema>;

/** `extensions`. */
export const extensionsSchema = z
  .strictObject({
    disabled: z.array(slug).default([]).describe('Extensions that are left out, by id.'),
  })
  .describe('Extensions of this project.');

export type ExtensionsConfig = z.output<typeof extensionsSchema>;
