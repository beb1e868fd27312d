import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { LogEntry } from '../../../../src/lib/app/logs/entries.ts';
import { countOverTime } from '../../../../src/lib/app/logs/over-time.ts';
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

it('counts over time in spans that grow with the time between the first and the last', async () => {
  const at = (time: string, level = 'info') => entry('x', { at: time, level: level as never });
  const few = await countOverTime(
    all([
      at('2026-01-31T12:00:02.500Z'),
      at('2026-01-31T12:00:00.000Z', 'error'),
      at('', 'warn'),
      at('2026-01-31T12:00:02.000Z'),
    ]),
  );
  expect(few).toEqual({
    spanMs: 1_000,
    spans: ['2026-01-31T12:00:00.000Z', '2026-01-31T12:00:01.000Z', '2026-01-31T12:00:02.000Z'],
    levels: { info: [0, 0, 2], error: [1, 0, 0] },
    undated: 1,
  });
  expect(await countOverTime(all([]))).toMatchObject({ spans: [], levels: {}, undated: 0 });

  // Whatever the times are: none is lost, none is counted in the span of another, and there are never too many spans.
  const moments = fc.array(fc.tuple(fc.integer({ min: 0, max: 1e12 }), fc.constantFrom('info', 'error')), {
    minLength: 1,
  });
  await fc.assert(
    fc.asyncProperty(moments, fc.integer({ min: 1, max: 1e9 }), async (given, scale) => {
      const times = given.map(([time, level]) => [Math.floor(time / scale), level] as const);
      const counted = await countOverTime(all(times.map(([time, level]) => at(new Date(time).toISOString(), level))));
      const { spanMs, spans, levels } = counted;
      expect(spans.length).toBeLessThanOrEqual(60);
      for (const name of ['info', 'error']) {
        const expected = spans.map((begin) => {
          const from = Date.parse(begin);
          return times.filter(([time, level]) => level === name && time >= from && time < from + spanMs).length;
        });
        if (levels[name] !== undefined) expect(levels[name]).toEqual(expected);
        else expect(times.some(([, level]) => level === name)).toBe(false);
      }
    }),
  );
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
