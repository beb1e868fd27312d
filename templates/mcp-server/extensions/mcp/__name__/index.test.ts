import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ToolContext } from 'systemprompt/mcp';
import { server } from './index.ts';

/** As much of a call's context as the tools look at. */
const context = {
  request: { user: { name: 'owner' } },
  logger: { debug() {}, info() {}, warn() {}, error() {} },
  signal: new AbortController().signal,
} as unknown as ToolContext;

/** Calls a tool as a client would: the input is checked before, the output after. */
async function call(name: string, input: unknown): Promise<unknown> {
  const tool = server.tools.find((candidate) => candidate.name === name);
  assert.ok(tool, `there is no tool ${name}`);
  return tool.output.parse(await tool.handler(tool.input.parse(input), context));
}

test('greets in the name of the caller', async () => {
  assert.deepEqual(await call('greet', { name: 'Ada' }), { type: 'text', content: 'Hello Ada, says owner' });
});

test('does not greet nobody', async () => {
  await assert.rejects(call('greet', { name: ' ' }), { code: 'USAGE' });
});

test('counts words, the most frequent first', async () => {
  const table = await call('count_words', { text: 'To be or not to be', limit: 2 });
  assert.partialDeepStrictEqual(table, {
    items: [
      { word: 'to', times: 2 },
      { word: 'be', times: 2 },
    ],
    count: 4,
  });
});
