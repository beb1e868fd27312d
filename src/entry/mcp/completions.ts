import { type McpServer, ProtocolError, ProtocolErrorCode } from '@modelcontextprotocol/server';
import type { Completer } from '../../lib/shared/mcp/prompt.ts';
import type { McpServerDefinition } from '../../lib/shared/mcp/server.ts';
import type { ProtocolDeps } from './deps.ts';
import { serveRequest } from './requests.ts';

/** MCP sends no more at once. */
const most = 100;

type Reference =
  | { readonly type: 'ref/prompt'; readonly name: string }
  | { readonly type: 'ref/resource'; readonly uri: string };

/** Whether anything of a server can be completed. */
export function completes({ prompts = [], resourceTemplates = [] }: McpServerDefinition): boolean {
  return [...prompts, ...resourceTemplates].some(({ complete }) => Object.keys(complete).length > 0);
}

/** Serves what may stand where somebody is typing. */
export function serveCompletions(server: McpServer, deps: ProtocolDeps): void {
  server.server.setRequestHandler('completion/complete', async ({ params }, protocol) => {
    const { ref, argument, context: given } = params;
    const complete = completersOf(ref as Reference, deps.definition)[argument.name];
    if (complete === undefined) return { completion: { values: [], hasMore: false } };
    const values = await serveRequest(`what completes ${argument.name}`, protocol, deps, (context) =>
      complete(argument.value, context, given?.arguments ?? {}),
    );
    return {
      completion: { values: values.slice(0, most).map(String), total: values.length, hasMore: values.length > most },
    };
  });
}

function completersOf(
  ref: Reference,
  { prompts = [], resourceTemplates = [] }: McpServerDefinition,
): Readonly<Record<string, Completer>> {
  const found =
    ref.type === 'ref/prompt'
      ? prompts.find(({ name }) => name === ref.name)
      : resourceTemplates.find(({ uriTemplate }) => uriTemplate === ref.uri);
  if (found !== undefined) return found.complete;
  const what = ref.type === 'ref/prompt' ? `prompt ${ref.name}` : `resource template ${ref.uri}`;
  throw new ProtocolError(ProtocolErrorCode.InvalidParams, `There is no ${what}`);
}
