import { expect, it } from 'vitest';
import type { LogEntry } from '../../../../src/lib/app/logs/entries.ts';
import { searchPattern } from '../../../../src/lib/app/logs/pattern.ts';
import { summarise } from '../../../../src/lib/app/logs/summary.ts';
import { UsageError } from '../../../../src/lib/shared/errors.ts';

const entry = (message: string, more: Partial<LogEntry> = {}): LogEntry => ({
  source: 'lines',
  at: '2026-01-31T12:00:00.000Z',
  service: 'api',
  level: 'info',
  message,
  raw: JSON.stringify({ msg: message }),
  ...more,
});

it('finds a text in the message and in the line', () => {
  const plain = searchPattern('a.c "x"', { regex: false, ignoreCase: false });
  expect(plain(entry('has a.c "x" in it'))).toBe(true);
  expect(plain(entry('has abc "x" in it'))).toBe(false);
  expect(searchPattern('PORT', { regex: false, ignoreCase: true })(entry('', { raw: '{"port":80}' }))).toBe(true);
});

it('runs an expression in linear time, and refuses one that can’t be', () => {
  const long = 'a'.repeat(20_000);
  const begun = performance.now();
  expect(searchPattern('(a+)+$', { regex: true, ignoreCase: false })(entry(`${long}b`))).toBe(false);
  expect(performance.now() - begun).toBeLessThan(5_000);
  expect(searchPattern('took [0-9]{4,} ms', { regex: true, ignoreCase: false })(entry('took 12345 ms'))).toBe(true);
  for (const pattern of ['(a)\\1', '(?=a)b', '(', '', 'x'.repeat(2_000)]) {
    expect(() => searchPattern(pattern, { regex: true, ignoreCase: false }), pattern).toThrow(UsageError);
  }
});

async function* all(entries: Iterable<LogEntry>): AsyncGenerator<LogEntry> {
  yield* entries;
}

it('counts by service and level, and takes messages that differ in numbers for one', async () => {
  const id = '01930000-0000-7000-8000-000000000001';
  const summary = await summarise(
    all([
      entry('took 5 ms'),
      entry('took 1,234 ms', { at: '2026-01-31T13:00:00.000Z' }),
      entry(`call ${id} failed`, { level: 'error', service: 'mcp:one' }),
      entry('no level', { level: undefined as never, service: 'mcp:one' }),
    ]),
  );
  expect(summary.services).toEqual([
    {
      service: 'api',
      total: 2,
      levels: { info: 2 },
      first: '2026-01-31T12:00:00.000Z',
      last: '2026-01-31T13:00:00.000Z',
    },
    expect.objectContaining({ service: 'mcp:one', levels: { error: 1, none: 1 } }),
  ]);
  expect(summary.messages.slice(0, 2)).toMatchObject([
    { message: 'took … ms', count: 2, last: '2026-01-31T13:00:00.000Z' },
    { message: 'call … failed', count: 1 },
  ]);
});

it('holds no more messages than it has to, and says so', async () => {
  function* many() {
    for (let index = 0; index < 50_000; index += 1) {
      const word = index.toString(26).replaceAll(/\d/g, (digit) => 'qrstuvwxyz'[Number(digit)] ?? '');
      yield entry(`only once: ${word}`);
      yield entry('often');
    }
  }
  const { messages, forgotten } = await summarise(all(many()));
  expect(forgotten).toBe(true);
  expect(messages.length).toBeLessThanOrEqual(5_000);
  expect(messages[0]).toMatchObject({ message: 'often', count: 50_000 });
});
