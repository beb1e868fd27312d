import { join } from 'node:path';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type BridgeRig, bridgeRig, textOf } from '../../../../helpers/bridge-rig.ts';
import { elsewhere, everythingElsewhere } from '../../../../helpers/governed-server.ts';
import { until } from '../../../../helpers/until.ts';

// Clients of the official SDK at servers of the official SDK that do not speak their era.

const program = join(import.meta.dirname, '../../../../fixtures/mcp/everything.mjs');

type Mode = 'legacy' | { readonly pin: string };

/** A client of one era at the bridge, that answers what it is asked. */
async function connect(
  rig: BridgeRig,
  mode: Mode,
  capabilities: object = { elicitation: {}, sampling: {}, roots: {} },
) {
  const heard: string[] = [];
  const client = new Client({ name: 'crossing', version: '1' }, { capabilities, versionNegotiation: { mode } });
  const asked: string[] = [];
  if ('elicitation' in capabilities) {
    client.setRequestHandler('elicitation/create', ({ params }) => {
      asked.push(params.message);
      return {
        action: 'accept',
        content: { name: 'Ada', username: 'ada', email: 'ada@example.com', color: 'blue', ok: true },
      };
    });
    client.setRequestHandler('sampling/createMessage', () => {
      asked.push('sample');
      return { role: 'assistant', model: 'm', content: { type: 'text', text: 'Paris' } };
    });
    client.setRequestHandler('roots/list', () => {
      asked.push('roots');
      return { roots: [{ uri: 'file:///home' }] };
    });
  }
  for (const method of ['tools/list_changed', 'resources/updated', 'message'] as const) {
    client.setNotificationHandler(`notifications/${method}`, ({ params }) => {
      const { data, uri } = (params ?? {}) as { readonly data?: unknown; readonly uri?: unknown };
      heard.push(`${method} ${JSON.stringify(data ?? uri ?? '')}`);
    });
  }
  const transport = new StreamableHTTPClientTransport(new URL(`${rig.origin}/mcp`), {
    fetch: (url, init) => {
      const headers = new Headers(init?.headers);
      const signed = Object.entries(rig.headers()).filter(([name]) => name.startsWith('x-systemprompt-'));
      for (const [name, value] of signed) headers.set(name, value);
      return fetch(url, { ...init, headers });
    },
  });
  await client.connect(transport);
  const call = async (name: string, args: Record<string, unknown> = {}) =>
    textOf({ result: await client.callTool({ name, arguments: args }) } as never);
  return { client, call, asked, heard };
}

const modern: Mode = { pin: '2026-07-28' };

interface Place {
  readonly what: string;
  readonly eras: 'legacy' | 'modern';
  readonly open: () => Promise<{ rig: BridgeRig; close: () => Promise<void> }>;
}

function places(eras: 'legacy' | 'modern'): Place[] {
  return [
    {
      what: 'a program on stdio',
      eras,
      open: async () => {
        const rig = await bridgeRig({ program: process.execPath, args: [program, eras, 'stdio'] });
        return { rig, close: async () => {} };
      },
    },
    {
      what: 'a server elsewhere',
      eras,
      open: async () => {
        const fixture = await everythingElsewhere(eras);
        const rig = await bridgeRig({ external: elsewhere(fixture.endpoint) });
        return { rig, close: async () => await fixture[Symbol.asyncDispose]() };
      },
    },
  ];
}

describe.each(places('legacy'))('a modern client before $what that knows 2025-11-25 alone', ({ open }) => {
  let place: Awaited<ReturnType<Place['open']>>;
  let test: Awaited<ReturnType<typeof connect>>;
  beforeAll(async () => {
    place = await open();
    test = await connect(place.rig, modern);
  });
  afterAll(async () => {
    await test?.client.close();
    await place?.rig[Symbol.asyncDispose]();
    await place?.close();
  });

  it('lists, reads, completes and calls', async () => {
    const { client, call } = test;
    expect(client.getProtocolEra()).toBe('modern');
    expect((await client.listTools()).tools.map(({ name }) => name)).toContain('test_simple_text');
    expect(await call('test_simple_text')).toContain('simple text');
    expect(await client.readResource({ uri: 'test://static-text' })).toMatchObject({
      contents: [{ mimeType: 'text/plain' }],
    });
    const ref = { type: 'ref/prompt', name: 'test_prompt_with_arguments' } as const;
    expect(await client.complete({ ref, argument: { name: 'arg1', value: 'par' } })).toMatchObject({
      completion: { values: ['paris', 'park', 'party'] },
    });
  });

  it('answers what the server asks, one thing after another and several at once', async () => {
    const { call, asked } = test;
    expect(await call('test_elicitation', { message: 'Who?' })).toContain('"email":"ada@example.com"');
    expect(await call('test_sampling', { prompt: 'Capital?' })).toBe('LLM response: Paris');
    expect(asked).toEqual(['Who?', 'sample']);
    expect(await call('test_input_required_result_multi_round')).toContain('Done');
  });

  it('reports progress', async () => {
    const seen: number[] = [];
    const onprogress = ({ progress }: { progress: number }) => seen.push(progress);
    await test.client.callTool({ name: 'test_tool_with_progress', arguments: {} }, { onprogress });
    expect(seen).toEqual([0, 50, 100]);
  });

  it('hears of changes that it listens for', async () => {
    const { client, call, heard } = test;
    const listening = await client.listen({
      toolsListChanged: true,
      resourceSubscriptions: ['test://watched-resource'],
    });
    // The server is told after the client was: it may take a moment.
    await until('changes are told of', async () => {
      await call('test_trigger_tool_change');
      await call('test_trigger_resource_update');
      return heard.includes('tools/list_changed ""') && heard.includes('resources/updated "test://watched-resource"');
    });
    await listening.close();
  });

  it('takes a call back', async () => {
    const abort = new AbortController();
    const held = test.client.callTool({ name: 'hold', arguments: {} }, { signal: abort.signal });
    setImmediate(() => abort.abort());
    await expect(held).rejects.toThrow();
    expect(await test.call('test_simple_text')).toContain('simple text');
  });
});

describe.each(places('modern'))('a legacy client before $what that knows 2026-07-28 alone', ({ open }) => {
  let place: Awaited<ReturnType<Place['open']>>;
  let test: Awaited<ReturnType<typeof connect>>;
  beforeAll(async () => {
    place = await open();
    test = await connect(place.rig, 'legacy');
  });
  afterAll(async () => {
    await test?.client.close();
    await place?.rig[Symbol.asyncDispose]();
    await place?.close();
  });

  it('lists, reads, completes and calls', async () => {
    const { client, call } = test;
    expect(client.getServerVersion()).toMatchObject({ name: 'everything' });
    const { tools } = await client.listTools();
    expect(tools.find(({ name }) => name === 'several')?.outputSchema).toMatchObject({
      type: 'object',
      required: ['result'],
    });
    expect(await call('test_simple_text')).toContain('simple text');
    expect(await client.callTool({ name: 'several', arguments: {} })).toMatchObject({
      structuredContent: { result: [1, 2, 3] },
    });
    const ref = { type: 'ref/prompt', name: 'test_prompt_with_arguments' } as const;
    expect(await client.complete({ ref, argument: { name: 'arg1', value: 'pari' } })).toMatchObject({
      completion: { values: ['paris'] },
    });
  });

  it('is asked what the server requires, one thing after another and several at once', async () => {
    const { call, asked, client } = test;
    expect(await call('test_elicitation', { message: 'Who?' })).toContain('"email":"ada@example.com"');
    expect(await call('test_sampling', { prompt: 'Capital?' })).toBe('LLM response: Paris');
    asked.length = 0;
    expect(await call('test_input_required_result_multiple_inputs')).toContain('All');
    expect(asked.sort()).toEqual(['What is your name?', 'roots', 'sample']);
    expect(await call('test_input_required_result_multi_round')).toContain('Done after round-2');
    const prompt = await client.getPrompt({ name: 'test_input_required_result_prompt' });
    expect(prompt.messages).toHaveLength(1);
  });

  it('hears log messages of the level that it set, and progress', async () => {
    const { client, heard } = test;
    await client.setLoggingLevel('error');
    await client.callTool({ name: 'test_tool_with_logging', arguments: {} });
    expect(heard.filter((line) => line.startsWith('message'))).toEqual([]);
    await client.setLoggingLevel('info');
    const seen: number[] = [];
    await client.callTool(
      { name: 'test_tool_with_progress', arguments: {} },
      { onprogress: ({ progress }) => seen.push(progress) },
    );
    await client.callTool({ name: 'test_tool_with_logging', arguments: {} });
    expect(heard.filter((line) => line.startsWith('message'))).toHaveLength(3);
    expect(seen).toEqual([0, 50, 100]);
  });

  it('hears of changes', async () => {
    const { client, call, heard } = test;
    await client.subscribeResource({ uri: 'test://watched-resource' });
    await until('changes are told of', async () => {
      await call('test_trigger_tool_change');
      await call('test_trigger_resource_update');
      return heard.includes('tools/list_changed ""') && heard.includes('resources/updated "test://watched-resource"');
    });
    await client.unsubscribeResource({ uri: 'test://watched-resource' });
  });
});

describe('a client that can not answer', () => {
  it.each([
    ['legacy', 'modern'],
    ['modern', 'legacy'],
  ] as const)('of the %s era is told so by a %s server, and nobody is asked', async (clientEra, eras) => {
    await using fixture = await everythingElsewhere(eras);
    await using rig = await bridgeRig({ external: elsewhere(fixture.endpoint) });
    const { client, call, asked } = await connect(rig, clientEra === 'legacy' ? 'legacy' : modern, {});
    const outcome = await call('test_elicitation', { message: 'Who?' }).catch((error: unknown) => String(error));
    expect(outcome).toMatch(/capabilit|declared|support/i);
    expect(asked).toEqual([]);
    await client.close();
  });
});
