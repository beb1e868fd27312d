import { expect, it } from 'vitest';
import { parseDuration } from '../../../src/entry/cli/flags.ts';

it.each([
  ['90', 90],
  ['90s', 90],
  ['15m', 900],
  ['1h', 3600],
  ['7d', 604_800],
  ['', undefined],
  ['1w', undefined],
  ['-5', undefined],
  ['1.5h', undefined],
  ['1h30m', undefined],
])('reads the duration %j', (text, seconds) => {
  expect(parseDuration(text)).toBe(seconds);
});
