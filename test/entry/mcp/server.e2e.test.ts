import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client as ModernClient, StreamableHTTPClientTransport as ModernTransport } from '@modelcontextprotocol/client';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { CallToolResultSchema } from '@modelcontextprotocol/sdk/types.js';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { ExecutionId } from '../../../src/lib/shared/ids.ts';
import { type McpChild, startMcpChild } from '../../helpers/mcp-child.ts';

const extension = join(import.meta.dirname, '../../fixtures/extensions/demo.mjs');
let server: McpChild;
let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'mcp-server-'));
  server = await startMcpChild({
    extension,
    env: { DATABASE_URL: 'postgres://somewhere/db', NODE_OPTIONS: '--expose-gc' },
  });
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

/** Fetch as the router does it: with an identity that is signed for this very request. */
function routed(from: McpChild, identity = {}, token?: string): typeof fetch {
  return (input, init) => {
    const headers = new Headers(init?.headers);
    for (const [name, value] of Object.entries(from.headers(identity, token))) headers.set(name, value);
    return fetch(input, { ...init, headers });
  };
}

interface Peer {
  readonly label: string;
  listTools(): Promise<{
    tools: { name: string; inputSchema: unknown; outputSchema?: unknown; annotations?: unknown }[];
  }>;
  callTool(
    name: string,
    args?: Record<string, unknown>,
    options?: { signal?: AbortSignal; onprogress?: (progress: { progress: number }) => void },
  ): Promise<{ content?: unknown; structuredContent?: unknown; isError?: boolean; _meta?: unknown }>;
  instructions(): string | undefined;
  close(): Promise<void>;
}

async function peerV1(from: McpChild, identity = {}, token?: string): Promise<Peer> {
  const client = new Client({ name: 'test', version: '1' });
  const transport = new StreamableHTTPClientTransport(new URL(`${from.origin}/mcp`), {
    fetch: routed(from, identity, token),
  });
  await client.connect(transport as never);
  return {
    label: 'sdk 1',
    listTools: () => client.listTools() as never,
    callTool: (name, args = {}, options) =>
      client.callTool({ name, arguments: args }, CallToolResultSchema, options as never) as never,
    instructions: () => client.getInstructions(),
    close: () => client.close(),
  };
}

async function peerV2(from: McpChild, mode: 'auto' | 'legacy', identity = {}, token?: string): Promise<Peer> {
  const client = new ModernClient({ name: 'test', version: '1' }, { versionNegotiation: { mode } });
  const transport = new ModernTransport(new URL(`${from.origin}/mcp`), { fetch: routed(from, identity, token) });
  await client.connect(transport);
  expect(client.getNegotiatedProtocolVersion()).toBe(mode === 'auto' ? '2026-07-28' : '2025-11-25');
  return {
    label: `client 2 ${mode}`,
    listTools: () => client.listTools() as never,
    callTool: (name, args = {}, options) => client.callTool({ name, arguments: args }, options as never) as never,
    instructions: () => client.getInstructions(),
    close: () => client.close(),
  };
}

const peers: readonly (readonly [string, (identity?: object, token?: string) => Promise<Peer>])[] = [
  ['@modelcontextprotocol/sdk 1', (identity, token) => peerV1(server, identity, token)],
  ['@modelcontextprotocol/client 2, 2026-07-28', (identity, token) => peerV2(server, 'auto', identity, token)],
  ['@modelcontextprotocol/client 2, 2025 revisions', (identity, token) => peerV2(server, 'legacy', identity, token)],
];

describe.each(peers)('with %s', (_label, connect) => {
  it('lists the tools with object schemas and honest annotations', async () => {
    const peer = await connect();
    const { tools } = await peer.listTools();
    expect(peer.instructions()).toBe('Use with care.');
    expect(tools.map(({ name }) => name)).toEqual([
      'echo',
      'any',
      'rows',
      'whoami',
      'refuse',
      'crash',
      'wrong',
      'wait',
    ]);
    for (const tool of tools) {
      expect(tool.inputSchema).toMatchObject({ type: 'object' });
      expect(tool.outputSchema).toMatchObject({ type: 'object' });
    }
    expect(tools[0]?.annotations).toEqual({ readOnlyHint: true, openWorldHint: false });
    await peer.close();
  });

  it('gives the bare artifact as structured content, and text', async () => {
    const peer = await connect({ exec: 'execution-7' as ExecutionId });
    const result = await peer.callTool('echo', { text: 'grüße' });
    expect(result.structuredContent).toEqual({ type: 'text', content: 'grüße' });
    expect(result.content).toEqual([{ type: 'text', text: 'grüße' }]);
    expect(result._meta).toMatchObject({ 'systemprompt/execution_id': 'execution-7' });
    await peer.close();
  });

  it('answers with artifacts of every type in a way that the client’s own validation accepts', async () => {
    const peer = await connect();
    // The clients compile the output schemas when they list, and check answers against them.
    await peer.listTools();
    for (const kind of ['text', 'copy_paste_text', 'table', 'list', 'presentation_card']) {
      const result = await peer.callTool('any', { kind });
      expect(result.isError ?? false).toBe(false);
      expect(result.structuredContent).toMatchObject({ type: kind });
    }
    expect((await peer.callTool('rows')).structuredContent).toEqual({ sum: 3 });
    await peer.close();
  });

  it('tells the tool who calls, and never more than it should know', async () => {
    const peer = await connect({ name: 'anna', scopes: ['mcp', 'tools:read'], exec: 'execution-1' as ExecutionId });
    const { structuredContent } = await peer.callTool('whoami');
    expect(structuredContent).toMatchObject({
      content: 'anna',
      data: {
        executionId: 'execution-1',
        user: { id: 'user-1', name: 'anna' },
        sessionId: 'session-1',
        scopes: ['mcp', 'tools:read'],
        server: { name: 'fixture', instanceId: server.instanceId },
        cli: false,
        database: 'postgres://somewhere/db',
      },
    });
    expect((structuredContent as { data: { env: string[] } }).data.env).not.toContain('SYSTEMPROMPT_IDENTITY_KEY');
    await peer.close();
  });

  it('has the CLI on its context only with a token of the caller', async () => {
    const peer = await connect({}, 'token-of-the-caller');
    const { structuredContent } = await peer.callTool('whoami');
    expect(structuredContent).toMatchObject({ data: { cli: true } });
    expect(JSON.stringify(structuredContent)).not.toContain('token-of-the-caller');
    await peer.close();
  });

  it('says what is wrong when a tool refuses, and nothing of a fault', async () => {
    const peer = await connect();
    await peer.listTools();
    const refused = await peer.callTool('refuse');
    expect(refused).toMatchObject({ isError: true });
    expect(refused.structuredContent).toBeUndefined();
    expect(refused.content).toEqual([
      { type: 'text', text: 'USAGE: Not like this\nLike that\nNext:\n  infra services status' },
    ]);
    expect(refused._meta).toMatchObject({
      'systemprompt/error': {
        code: 'USAGE',
        message: 'Not like this',
        hint: 'Like that',
        next: ['infra services status'],
      },
    });
    for (const tool of ['crash', 'wrong']) {
      const failed = await peer.callTool(tool);
      expect(failed).toMatchObject({ isError: true, _meta: { 'systemprompt/error': { code: 'INTERNAL' } } });
      expect(JSON.stringify(failed)).not.toContain('canary-secret');
    }
    expect(server.output()).toContain('canary-secret in a fault');
    await peer.close();
  });

  it('refuses input that the schema does not allow', async () => {
    const peer = await connect();
    const result = await peer.callTool('echo', { text: 1, more: true });
    expect(result.isError).toBe(true);
    expect(JSON.stringify(result.content)).toContain('text');
    await peer.close();
  });

  it('answers an unknown tool with a protocol error', async () => {
    const peer = await connect();
    await expect(peer.callTool('no-such-tool')).rejects.toMatchObject({ code: -32602 });
    await peer.close();
  });

  it('reports progress, and stops working when the client cancels', async () => {
    const file = join(folder, `cancel-${Math.random()}`);
    const peer = await connect();
    const cancel = new AbortController();
    const seen: number[] = [];
    const call = peer.callTool(
      'wait',
      { file },
      { signal: cancel.signal, onprogress: ({ progress }) => seen.push(progress) },
    );
    const outcome = expect(call).rejects.toThrow();
    await vi.waitFor(() => {
      expect(seen).toEqual([1]);
      expect(readFileSync(file, 'utf8')).toBe('started');
    }, 10_000);
    cancel.abort();
    await outcome;
    await vi.waitFor(() => expect(readFileSync(file, 'utf8')).toBe('cancelled'), 5_000);
    await peer.close();
  });

  it('stops working when the connection goes away', async () => {
    const file = join(folder, `gone-${Math.random()}`);
    const peer = await connect();
    const call = peer.callTool('wait', { file }).catch(() => undefined);
    await vi.waitFor(() => expect(readFileSync(file, 'utf8')).toBe('started'), 10_000);
    await peer.close();
    await call;
    await vi.waitFor(() => expect(readFileSync(file, 'utf8')).toBe('cancelled'), 5_000);
  });
});

describe('two clients on one sign-in', () => {
  it('cancels nothing when it can’t be told whose call is meant', async () => {
    const files = [join(folder, 'twin-1'), join(folder, 'twin-2')];
    const [one, two] = [await peerV1(server), await peerV1(server)];
    const cancel = new AbortController();
    const calls = [
      one.callTool('wait', { file: files[0] }, { signal: cancel.signal }),
      two.callTool('wait', { file: files[1] }),
    ];
    const settled = Promise.allSettled(calls);
    const states = (): string[] => files.map((file) => readFileSync(file, 'utf8'));
    await vi.waitFor(() => expect(states()).toEqual(['started', 'started']), 10_000);
    cancel.abort();
    // Its connection ends the first one; the notification of the first must not have ended the second before.
    await one.close();
    await vi.waitFor(() => expect(states()).toEqual(['cancelled', 'started']), 5_000);
    await two.close();
    await settled;
  });
});
