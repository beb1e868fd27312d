import { isPlainMatcher } from '../../domain/mcp/index.ts';

export type ToolMatcher = (server: string, tool: string) => boolean;

/**
 * Which tools a hook is about, in the manner of Claude Code's matchers: nothing or `*` is all of them, names with `|`
 * between them are exactly those, anything else is a regular expression that may match anywhere. A tool goes by its
 * own name and by `mcp__<server>__<tool>`. Case counts.
 */
export function matcherOf(matcher: string): ToolMatcher {
  if (matcher === '' || matcher === '*') return () => true;
  if (isPlainMatcher(matcher)) {
    const names = new Set(matcher.split(/[|,]/).map((name) => name.trim()));
    return (server, tool) => names.has(tool) || names.has(longName(server, tool));
  }
  const pattern = new RegExp(matcher, 'u');
  return (server, tool) => pattern.test(tool) || pattern.test(longName(server, tool));
}

/** The name by which an agent knows a tool of an MCP server. */
export function longName(server: string, tool: string): string {
  return `mcp__${server}__${tool}`;
}
