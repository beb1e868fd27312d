import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CallToolResultSchema } from '@modelcontextprotocol/sdk/types.js';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { processInfo } from '../../../../src/lib/infra/process/identity.ts';
import type { UserId } from '../../../../src/lib/shared/ids.ts';
import { failure, SystempromptTool } from '../../../helpers/systemprompt-tool.ts';

let tool: SystempromptTool;

beforeAll(async () => {
  tool = await SystempromptTool.start();
});
afterAll(() => tool[Symbol.asyncDispose]());

describe('large results', () => {
  it('comes in pages that together are the whole', async () => {
    const seen: number[] = [];
    let input: object = { args: ['demo', 'table', '--count', '1000'], limit_bytes: 8_192 };
    for (let pages = 0; ; pages += 1) {
      const { structuredContent, content } = await tool.ask(input);
      const table = structuredContent as { items: { index: number }[]; count: number; next_cursor?: string };
      expect(Buffer.byteLength(JSON.stringify(structuredContent))).toBeLessThanOrEqual(8_192);
      expect(table.count).toBe(1000);
      seen.push(...table.items.map(({ index }) => index));
      if (table.next_cursor === undefined) break;
      expect(content[0]?.text).toContain(`next_cursor: ${table.next_cursor}`);
      input = { cursor: table.next_cursor, limit_bytes: 8_192 };
      expect(pages).toBeLessThan(50);
    }
    expect(seen).toEqual(Array.from({ length: 1000 }, (_, index) => index));
  });

  it('gives a page to nobody but the one who asked, with the right still held', async () => {
    const { structuredContent } = await tool.ask({ args: ['demo', 'text', '--count', '90000'] });
    const cursor = structuredContent?.['next_cursor'] as string;
    const stranger = await tool.ask({ cursor }, { sub: 'user-2' as UserId, scopes: ['admin'] });
    const weaker = await tool.ask({ cursor }, { scopes: ['anonymous'] });
    const invented = await tool.ask({ cursor: `page:${'A'.repeat(22)}:0` });
    for (const answer of [stranger, weaker, invented]) expect(failure(answer)).toMatchObject({ code: 'NOT_FOUND' });
    expect((await tool.ask({ cursor })).isError ?? false).toBe(false);
  });
});

describe('ending early', () => {
  /** Pids that the command and its child wrote. */
  async function family(file: string): Promise<number[]> {
    return await vi.waitFor(() => {
      const pids = [file, `${file}.child`].map((name) => (existsSync(name) ? Number(readFileSync(name, 'utf8')) : 0));
      expect(pids.every((pid) => pid > 1)).toBe(true);
      return pids;
    }, 10_000);
  }

  async function expectGone(pids: readonly number[]): Promise<void> {
    await vi.waitFor(async () => {
      for (const pid of pids) {
        const info = await processInfo(pid);
        expect(info === undefined || info.state === 'Z').toBe(true);
      }
    }, 8_000);
  }

  it('kills the whole group when the client cancels', async () => {
    const file = join(tool.folder, 'cancelled');
    const client = await tool.connect();
    const cancel = new AbortController();
    const call = client.callTool(
      { name: 'systemprompt', arguments: { args: ['demo', 'wait', file] } },
      CallToolResultSchema,
      {
        signal: cancel.signal,
      },
    );
    const outcome = expect(call).rejects.toThrow();
    const pids = await family(file);
    cancel.abort();
    await outcome;
    await expectGone(pids);
    await client.close();
  });

  it('kills the whole group when the caller is gone', async () => {
    const file = join(tool.folder, 'gone');
    const client = await tool.connect();
    const call = client
      .callTool({ name: 'systemprompt', arguments: { args: ['demo', 'wait', file] } })
      .catch(() => undefined);
    const pids = await family(file);
    await client.close();
    await call;
    await expectGone(pids);
  });

  it('kills the whole group on timeout, and says that the state is unknown', async () => {
    const file = join(tool.folder, 'late');
    const answering = tool.ask({ args: ['demo', 'wait', file], timeout_ms: 1_500 });
    const pids = await family(file);
    expect(failure(await answering)).toMatchObject({ code: 'TIMEOUT', hint: expect.stringMatching(/timeout_ms/) });
    await expectGone(pids);
  });
});
