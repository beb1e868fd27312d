import { expect, it } from 'vitest';
import { logRecord, readableLogLine } from '../../../src/lib/shared/text/log-line.ts';

it.each([
  ['{"level":"info","time":"x","msg":"Listening"}', 'Listening'],
  ['{"level":"error","msg":"no"}', 'error: no'],
  ['{"level":"info","msg":"cut of', '{"level":"info","msg":"cut of'],
  ['{"other":1}', '{"other":1}'],
  ['2026-11-21 12:13:01.123 UTC [4711] LOG:  database system is ready', 'database system is ready'],
  ['2026-11-21 12:13:01.123 +0000 [4711] FATAL:  no such role', 'FATAL:  no such role'],
  [
    '2026-11-21 12:13:01.123 UTC [4711] FATAL:  the database system is starting up',
    'the database system is starting up',
  ],
  ['LOG:  database system is ready', 'LOG:  database system is ready'],
])('%s', (line, expected) => {
  expect(readableLogLine(line)).toBe(expected);
});

it.each([
  ['the database system is starting up', 'info'],
  ['the database system is not yet accepting connections', 'info'],
  ['the database system is in recovery mode', 'error'],
])('a connection that came too early is no error of the server: %s', (message, level) => {
  expect(logRecord(`2026-11-21 12:13:01.123 UTC [4711] FATAL:  ${message}`)).toMatchObject({ level, message });
});
