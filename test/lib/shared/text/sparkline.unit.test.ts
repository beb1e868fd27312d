import { expect, it } from 'vitest';
import { keysIn } from '../../../../src/entry/cli/live/keys.ts';
import { perSpan, sparkline } from '../../../../src/lib/shared/text/sparkline.ts';

it.each([
  [[], 3, '   '],
  [[0, 0], 3, ' ▁▁'],
  [[0, 7, 14], 3, '▁▅█'],
  [[100, 1, 2, 4], 3, '▃▅█'],
  [[5], 0, ''],
])('%j in %d columns is "%s"', (values, width, line) => {
  expect(sparkline(values, width)).toBe(line);
});

it('counts moments by spans of time, the latest last; older ones are left out', () => {
  const now = 1_000_000;
  expect(perSpan([now, now - 59_000, now - 61_000, now - 600_000], now, 60_000, 3)).toEqual([0, 1, 2]);
  // The clock was set back meanwhile.
  expect(perSpan([now + 5_000], now, 60_000, 2)).toEqual([0, 1]);
});

it.each([
  ['\u001B[A', ['up']],
  ['\u001BOB', ['down']],
  ['\u001B[A\u001B[Bq', ['up', 'down', 'q']],
  ['\u001B', ['escape']],
  ['\u0003', ['ctrl-c']],
  // What means nothing is nothing: page down, a mouse, a tab; above all no letters of a sequence.
  ['\u001B[6~\u001B[<0;10;20M\u001B[1;5C\t', []],
])('%j is the keys %j', (chunk, keys) => {
  expect(keysIn(chunk)).toEqual(keys);
});
