import { expect, it } from 'vitest';
import { logText, sinceTime } from '../../../../src/entry/cli/views/logs.ts';
import { lineFilter, mergedByTime, toLogLine } from '../../../../src/lib/app/supervisor/log-lines.ts';

const line = (service: string, text: string) => toLogLine(service, 'i', text);

it('merges by time, keeps a stack together, and shows time, service, level and message', () => {
  const lines = mergedByTime([
    line('database', '2026-11-21 12:00:01.000 UTC [41] LOG:  ready to accept connections'),
    line('database', '2026-11-21 12:00:03.000 UTC [42] FATAL:  no such role'),
    line(
      'api',
      '{"level":"error","time":"2026-11-21T12:00:02.000Z","pid":7,"code":"TIMEOUT","err":{"message":"why"},"msg":"It \\u001b[2Jfailed"}',
    ),
    line('api', '    at somewhere'),
    line('mcp:one', 'before anything'),
  ]);
  expect(lines.map((one) => logText(one, 8))).toEqual([
    '                          mcp:one          before anything',
    '2026-11-21T12:00:01.000Z  database  info   ready to accept connections',
    '2026-11-21T12:00:02.000Z  api       error  It failed  code=TIMEOUT err=why',
    '                          api                  at somewhere',
    '2026-11-21T12:00:03.000Z  database  error  no such role',
  ]);
});

it('gives what a line says about itself, also when it is not JSON', () => {
  expect(line('database', '2026-11-21 12:00:03.000 UTC [42] ERROR:  no such table')).toEqual({
    service: 'database',
    instanceId: 'i',
    time: '2026-11-21T12:00:03.000Z',
    level: 'error',
    msg: 'no such table',
    line: '2026-11-21 12:00:03.000 UTC [42] ERROR:  no such table',
  });
  expect(line('mcp:a', '{"level":"warn","stream":"stderr","msg":"x"}')).toMatchObject({ stream: 'stderr', msg: 'x' });
  expect(line('mcp:a', 'FATAL ERROR: Reached heap limit')).toMatchObject({ msg: 'FATAL ERROR: Reached heap limit' });
});

it('filters by level and time; what belongs to a line goes by that line', () => {
  const texts = [
    'raw before anything',
    '2026-11-21 12:00:01.000 UTC [41] LOG:  one',
    '2026-11-21 12:00:02.000 UTC [41] ERROR:  two',
    '2026-11-21 12:00:02.000 UTC [41] STATEMENT:  SELECT two',
    '\tand its second line',
    '2026-11-21 12:00:03.000 UTC [41] LOG:  three',
    '{"level":"warn","time":"2026-11-21T12:00:04.000Z","msg":"four"}',
  ];
  const passing = (filter: Parameters<typeof lineFilter>[0]): string[] =>
    texts
      .map((text) => line('database', text))
      .filter(lineFilter(filter))
      .map(({ msg }) => msg);
  expect(passing({})).toHaveLength(7);
  expect(passing({ level: 'warn' })).toEqual([
    'raw before anything',
    'two',
    'STATEMENT:  SELECT two',
    '\tand its second line',
    'four',
  ]);
  expect(passing({ since: '2026-11-21T12:00:03.000Z' })).toEqual(['raw before anything', 'three', 'four']);
  expect(passing({ since: '2026-11-21T12:00:03.000Z', level: 'error' })).toEqual(['raw before anything']);
});

it('knows durations and times', () => {
  const now = Date.parse('2026-11-21T12:00:00Z');
  expect(sinceTime('90s', now)).toBe('2026-11-21T11:58:30.000Z');
  expect(sinceTime('2h', now)).toBe('2026-11-21T10:00:00.000Z');
  expect(sinceTime('1d', now)).toBe('2026-11-20T12:00:00.000Z');
  expect(sinceTime('2026-11-21T12:00:00+02:00', now)).toBe('2026-11-21T10:00:00.000Z');
  expect(sinceTime('2026-11-21', now)).toBe('2026-11-21T00:00:00.000Z');
  for (const ages of ['9999999d', '999999999d']) expect(sinceTime(ages, now)).toBe('1970-01-01T00:00:00.000Z');
  for (const wrong of ['', 'yesterday', '5', '5w', '2026-13-01', '12:00']) {
    expect(sinceTime(wrong, now)).toBeUndefined();
  }
});
