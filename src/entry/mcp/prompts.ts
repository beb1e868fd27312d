import { type McpServer, ProtocolError, ProtocolErrorCode } from '@modelcontextprotocol/server';
import { InternalError } from '../../lib/shared/errors.ts';
import type { PromptDefinition, PromptResult } from '../../lib/shared/mcp/prompt.ts';
import type { ProtocolDeps } from './deps.ts';
import { serveRequest, validated } from './requests.ts';

/** Serves the prompts of a definition. */
export function servePrompts(server: McpServer, prompts: readonly PromptDefinition[], deps: ProtocolDeps): void {
  const listed = prompts.map(({ name, title, description, argumentList }) => ({
    name,
    ...(title === undefined ? {} : { title }),
    description,
    ...(argumentList.length === 0 ? {} : { arguments: [...argumentList] }),
  }));
  server.server.setRequestHandler('prompts/list', () => ({ prompts: listed }));
  server.server.setRequestHandler('prompts/get', async ({ params }, protocol) => {
    const prompt = prompts.find(({ name }) => name === params.name);
    if (prompt === undefined)
      throw new ProtocolError(ProtocolErrorCode.InvalidParams, `Prompt ${params.name} not found`);
    const subject = `prompt ${prompt.name}`;
    const { input } = prompt;
    const given = input === undefined ? {} : await validated(subject, input, params.arguments ?? {});
    return await serveRequest(subject, protocol, deps, async (context) => ({
      description: prompt.description,
      messages: messagesOf(prompt.name, await prompt.handler(given, context)),
    }));
  });
}

function messagesOf(name: string, result: PromptResult) {
  const messages = typeof result === 'string' ? [{ role: 'user' as const, text: result }] : result;
  if (!Array.isArray(messages) || !messages.every(isMessage))
    throw new InternalError(`The prompt ${name} returned neither a text nor messages with role and text`);
  return messages.map(({ role, text }) => ({ role, content: { type: 'text' as const, text } }));
}

function isMessage(value: unknown): boolean {
  const { role, text } = (value ?? {}) as Record<string, unknown>;
  return (role === 'user' || role === 'assistant') && typeof text === 'string';
}
