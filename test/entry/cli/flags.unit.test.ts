import { expect, it } from 'vitest';
import { durationFlag, parseDuration, parseMoment } from '../../../src/entry/cli/flags.ts';
import { orderFlags } from '../../../src/entry/cli/order-flags.ts';

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

it.each(['90s', '15m', '1h', '25h', '7d'])('writes the duration %s as it is read', (text) => {
  expect(durationFlag(parseDuration(text) ?? 0)).toBe(text);
});

it.each([
  ['10m', 400_000],
  ['999999999d', 0],
  ['2026-01-31', Date.UTC(2026, 0, 31)],
  ['2026-01-31T12:00Z', Date.UTC(2026, 0, 31, 12)],
  ['2026-01-31T12:00:05.5+02:00', Date.UTC(2026, 0, 31, 10, 0, 5, 500)],
  ['2026-13-31', undefined],
  ['-1', undefined],
  ['1e9', undefined],
  ['January', undefined],
])('reads the moment %j', (text, time) => {
  expect(parseMoment(text, 1_000_000)).toBe(time);
});

it.each(['25h', '30d', '999999999d'])(
  'refuses to wait longer than timers and the control API can: %s',
  async (text) => {
    const { timeout } = orderFlags;
    const parse = (given: string) => timeout.parse(given, {} as never, timeout as never);
    await expect(parse(text)).rejects.toThrow(`Expected at most 1d, got ${text}`);
    expect(await parse('1d')).toBe(86_400);
  },
);
