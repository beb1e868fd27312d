import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, it } from 'vitest';
import { type CallProgress, withMcpServer } from '../../../src/lib/app/mcp-client.ts';
import type { AnswerQuestion } from '../../../src/lib/app/mcp-questions.ts';

interface Message {
  readonly id?: number | string;
  readonly method?: string;
  readonly params?: Record<string, Record<string, unknown>>;
  readonly result?: unknown;
}
interface Conversation {
  readonly declared: unknown;
  readonly answer: unknown;
}

const form = {
  message: 'Which one?',
  requestedSchema: { type: 'object', properties: { name: { type: 'string' } }, required: ['name'] },
};
const done = { content: [{ type: 'text', text: 'done' }] };

/** A server of one era that tells how far it is and asks in the midst of each call, whatever the client says of itself. */
async function conversation(era: 'legacy' | 'modern', answer?: AnswerQuestion, timeoutMs = 10_000) {
  const heard: { declared?: unknown; answer?: unknown } = {};
  let finish: (() => void) | undefined;
  const server = createServer(async (req, res) => {
    const text = await bodyOf(req);
    if (text === '') {
      res.writeHead(405).end();
      return;
    }
    const message = JSON.parse(text) as Message;
    if (era === 'legacy') legacy(message, res);
    else modern(message, res);
  });
  const legacy = ({ id, method, params, result }: Message, res: ServerResponse): void => {
    if (method === 'initialize') {
      heard.declared = params?.['capabilities'];
      const { protocolVersion } = params ?? {};
      reply(res, id, { protocolVersion, capabilities: { tools: {} }, serverInfo: { name: 's', version: '1' } });
    } else if (method === 'tools/call') {
      const token = params?.['_meta']?.['progressToken'];
      const progress = { progressToken: token, progress: 1, total: 2, message: 'half' };
      event(res, { method: 'notifications/progress', params: progress });
      event(res, { id: 'q', method: 'elicitation/create', params: form });
      finish = () => res.end(`data: ${JSON.stringify({ jsonrpc: '2.0', id, result: done })}\n\n`);
    } else if (method === undefined) {
      heard.answer = result;
      res.writeHead(202).end();
      finish?.();
    } else if (id === undefined) res.writeHead(202).end();
    else reply(res, id, undefined, { code: -32_601, message: 'Method not found' });
  };
  const modern = ({ id, method, params }: Message, res: ServerResponse): void => {
    if (method === 'server/discover') {
      const supportedVersions = ['2026-07-28'];
      const result = {
        resultType: 'complete',
        supportedVersions,
        capabilities: { tools: {} },
        ttlMs: 0,
        cacheScope: 'private',
      };
      reply(res, id, result);
      return;
    }
    heard.declared = params?.['_meta']?.['io.modelcontextprotocol/clientCapabilities'];
    const given = params?.['inputResponses']?.['q'];
    if (given === undefined) {
      const inputRequests = { q: { method: 'elicitation/create', params: { mode: 'form', ...form } } };
      reply(res, id, { resultType: 'input_required', inputRequests, requestState: 's' });
      return;
    }
    heard.answer = given;
    reply(res, id, { resultType: 'complete', ...done });
  };
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/mcp`;
  const { signal } = new AbortController();
  const told: CallProgress[] = [];
  try {
    const result = await withMcpServer({ url, token: 't', version: '1', timeoutMs, signal, answer }, (session) =>
      session.callTool('x', {}, (progress) => told.push(progress)),
    );
    return { result, told, ...(heard as Conversation) };
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

async function bodyOf(req: IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of req.setEncoding('utf8')) text += String(chunk);
  return text;
}

function reply(res: ServerResponse, id: unknown, result: unknown, error?: unknown): void {
  res.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ jsonrpc: '2.0', id, result, error }));
}

function event(res: ServerResponse, message: object): void {
  if (!res.headersSent) res.writeHead(200, { 'content-type': 'text/event-stream' });
  res.write(`data: ${JSON.stringify({ jsonrpc: '2.0', ...message })}\n\n`);
}

it.each(['legacy', 'modern'] as const)('a person answers what a server of the %s era asks', async (era) => {
  const asked: unknown[] = [];
  const { result, declared, answer, told } = await conversation(era, async (question) => {
    asked.push(question);
    return { action: 'accept', content: { name: 'one' } };
  });
  expect(result).toMatchObject(done);
  expect(asked).toEqual([{ message: 'Which one?', fields: { name: { type: 'string' } }, required: ['name'] }]);
  expect(declared).toMatchObject({ elicitation: { form: {} } });
  expect(answer).toEqual({ action: 'accept', content: { name: 'one' } });
  if (era === 'legacy') expect(told).toEqual([{ progress: 1, total: 2, message: 'half' }]);
});

it('where nobody can answer, the server is told so, and a question all the same is declined at once', async () => {
  const { declared, answer } = await conversation('legacy');
  expect(declared).not.toHaveProperty('elicitation');
  expect(answer).toEqual({ action: 'decline' });
});

it('a question of a modern server that nobody can answer ends the call', async () => {
  await expect(conversation('modern')).rejects.toMatchObject({ code: 'UPSTREAM_FAILED' });
});

it('the time that a person takes is none of the call’s', async () => {
  const { answer } = await conversation(
    'legacy',
    async () => {
      await new Promise((resolve) => setTimeout(resolve, 1_500));
      return { action: 'decline' };
    },
    1_200,
  );
  expect(answer).toEqual({ action: 'decline' });
});
