import { mkdirSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, it } from 'vitest';
import { logExportFormats } from '../../../../src/commands/infra/logs/export.ts';
import { logSourceNames } from '../../../../src/entry/cli/log-flags.ts';
import { logSources } from '../../../../src/lib/app/logs/entries.ts';
import { exportFormats } from '../../../../src/lib/app/logs/export.ts';
import { allEntries, newestEntries, type PageEnd } from '../../../../src/lib/app/logs/index.ts';
import { temporaryFolder } from '../../../helpers/temporary-folder.ts';

const start = Date.UTC(2026, 0, 31, 12);
const at = (seconds: number): string => new Date(start + seconds * 1_000).toISOString();
const line = (seconds: number, msg: string, more: object = {}): string =>
  `${JSON.stringify({ level: 'info', time: at(seconds), msg, ...more })}\n`;

let logsDir: string;
const places = () => ({ logsDir, services: ['api', 'mcp:one', 'supervisor'], rows: undefined });

beforeAll(async () => {
  const folder = await temporaryFolder();
  logsDir = folder.path;
  for (const service of ['api', 'mcp:one']) mkdirSync(join(logsDir, service));
  // A run whose older part was rotated away, and the run after it.
  writeFileSync(join(logsDir, 'api', 'a.log.1'), line(0, 'a0') + line(2, 'a2'));
  writeFileSync(join(logsDir, 'api', 'a.log'), `${line(4, 'a4', { level: 'error' })}    at stack\n${line(6, 'a6')}`);
  // Which run is the newer one is told by when it was last written.
  utimesSync(join(logsDir, 'api', 'a.log'), new Date(at(6)), new Date(at(6)));
  writeFileSync(join(logsDir, 'api', 'b.log'), line(8, 'b8') + line(8, 'b8 too') + line(8, 'b8 three'));
  writeFileSync(
    join(logsDir, 'mcp:one', 'c.log'),
    line(1, 'c1') + line(5, 'c5', { execution: '01930000-0000-7000-8000-000000000001' }) + line(9, 'c9'),
  );
  writeFileSync(join(logsDir, 'supervisor.log'), line(3, 's3 password=hunter2').trimEnd());
  return () => folder[Symbol.asyncDispose]();
});

async function messages(wanted = {}): Promise<string[]> {
  const found: string[] = [];
  for await (const { message } of allEntries(places(), wanted)) found.push(message);
  return found;
}

const everything = [
  'a0',
  'c1',
  'a2',
  's3 password=[redacted]',
  'a4',
  '    at stack',
  'c5',
  'a6',
  'b8',
  'b8 too',
  'b8 three',
  'c9',
];

it('merges runs and their rotated parts by time, secrets blanked', async () => {
  expect(await messages()).toEqual(everything);
});

it('narrows by service, level, time and call', async () => {
  expect(await messages({ services: ['mcp:one'] })).toEqual(['c1', 'c5', 'c9']);
  // The second line of a stack is as severe as the first.
  expect(await messages({ level: 'error' })).toEqual(['a4', '    at stack']);
  expect(await messages({ since: at(5), until: at(8) })).toEqual(['c5', 'a6', 'b8', 'b8 too', 'b8 three']);
  expect(await messages({ trace: '01930000-00' })).toEqual(['c5']);
  expect(await messages({ sources: ['events'] })).toEqual([]);
});

it.each([1, 2, 5, 50])('gives every entry once on pages of %d', async (limit) => {
  const pages: string[][] = [];
  let before: PageEnd | undefined;
  do {
    const page = await newestEntries(places(), {}, limit, { before });
    pages.unshift(page.entries.map(({ message }) => message));
    before = page.next;
  } while (before !== undefined);
  expect(pages.flat()).toEqual(everything);
});

it('has the same words on the command line as inside', () => {
  expect(logSourceNames).toEqual(logSources);
  expect(logExportFormats).toEqual(exportFormats);
});
