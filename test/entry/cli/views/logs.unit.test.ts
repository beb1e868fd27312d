import { expect, it } from 'vitest';
import { logText, mergedByTime } from '../../../../src/entry/cli/views/logs.ts';

const line = (service: string, text: string) => ({ service, instanceId: 'i', line: text });

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
