import { z } from 'zod';
import { saying, serverName } from '../../infra/config/fields.ts';

/** What a tool may be called here (MCP 2025-11-25, server/tools, tool names). */
const givenName = z
  .string()
  .regex(/^[A-Za-z0-9_.-]{1,128}$/, 'must have letters, digits, dashes, underscores and dots only, at most 128');

const chosenTool = z.strictObject({
  tool: z.string().min(1).max(128).describe('The tool, as its server names it.'),
  as: givenName.optional().describe('Its name here. Default: the same. `prefix` comes before either.'),
  description: saying('write what the tool does').max(4000).optional().describe('What it does, instead of its own.'),
});

const target = z
  .strictObject({
    server: serverName.describe('The server that has the tools.'),
    prefix: z
      .string()
      .regex(/^[A-Za-z0-9_.-]{0,40}$/, 'must have letters, digits, dashes, underscores and dots only, at most 40')
      .default('')
      .describe('What comes before the names of its tools here.'),
    tools: z
      .union([z.literal('*'), z.array(z.union([z.string().min(1).max(128), chosenTool])).min(1)], {
        error: "must be '*', or a list of tools: names, or maps with tool, as and description",
      })
      .default('*')
      .describe("Its tools that are offered: `'*'` for all, else a list of names, each alone or with `as`."),
  })
  .describe('A server, and what of it is offered.');

/** `targets` of a virtual server. */
export const targetsSchema = z.array(target).min(1).max(100).describe('Where the tools of a virtual server come from.');

/** One tool that a virtual server offers. */
export interface VirtualTool {
  /** The name at its server. */
  readonly tool: string;
  /** The name here, with the prefix. */
  readonly as: string;
  readonly description?: string;
}

export interface VirtualTarget {
  readonly server: string;
  /** Before every name of `'*'`; names of a list have it already. */
  readonly prefix: string;
  readonly tools: '*' | readonly VirtualTool[];
}

export function toTargets(yaml: z.output<typeof targetsSchema>): VirtualTarget[] {
  return yaml.map(({ server, prefix, tools }) => ({
    server,
    prefix,
    tools: tools === '*' ? tools : tools.map((entry) => toTool(entry, prefix)),
  }));
}

function toTool(entry: string | z.output<typeof chosenTool>, prefix: string): VirtualTool {
  if (typeof entry === 'string') return { tool: entry, as: prefix + entry };
  const { tool, as, description } = entry;
  return { tool, as: prefix + (as ?? tool), ...(description === undefined ? {} : { description }) };
}
