import { appendFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { followLines, logFileOf, tailLines } from '../../../../src/lib/infra/process/logs.ts';
import { temporaryFolder } from '../../../helpers/temporary-folder.ts';

describe('the logs of services', () => {
  it('gives the last lines, however long the file', async () => {
    await using folder = await temporaryFolder();
    const file = join(folder.path, 'x.log');
    expect(tailLines(file, 5)).toEqual([]);
    writeFileSync(file, Array.from({ length: 50_000 }, (_, index) => `line ${index} é\n`).join(''));
    expect(tailLines(file, 2)).toEqual(['line 49998 é', 'line 49999 é']);
    expect(tailLines(file, 20_000)).toHaveLength(20_000);
    expect(tailLines(file, 0)).toEqual([]);
    appendFileSync(file, 'unfinished');
    expect(tailLines(file, 1)).toEqual(['unfinished']);
  });

  it('follows whole lines, through a truncation, until it is told to stop', async () => {
    await using folder = await temporaryFolder();
    const file = join(folder.path, 'x.log');
    writeFileSync(file, 'one\ntwo\n');
    const stop = new AbortController();
    const lines = followLines(file, 1, stop.signal);
    const next = async (): Promise<string | undefined> => (await lines.next()).value ?? undefined;
    expect(await next()).toBe('two');
    appendFileSync(file, 'thr');
    appendFileSync(file, 'ee\nfour\n');
    expect([await next(), await next()]).toEqual(['three', 'four']);
    truncateSync(file);
    appendFileSync(file, 'a\n');
    expect(await next()).toBe('a');
    appendFileSync(file, 'rest');
    stop.abort();
    expect(await next()).toBe('rest');
    expect((await lines.next()).done).toBe(true);
  });

  it('a token that a program prints itself does not come out, neither of the tail nor while following', async () => {
    await using folder = await temporaryFolder();
    const file = join(folder.path, 'x.log');
    const token = `eyJhbGciOiJFUzI1NiJ9.${'cGF5bG9hZA'.repeat(3)}.c2lnbmF0dXJl`;
    writeFileSync(file, `got ${token} from somebody\npostgres://sp:canary-password@127.0.0.1/db\n`);
    const stop = new AbortController();
    const shown = [...tailLines(file, 9)];
    const lines = followLines(file, 9, stop.signal);
    const next = async (): Promise<string> => String((await lines.next()).value);
    shown.push(await next(), await next());
    appendFileSync(file, `authorization: Bearer ${token}\n`);
    shown.push(await next());
    appendFileSync(file, `password=canary-password`);
    stop.abort();
    shown.push(await next());
    expect(shown[0]).toBe('got [redacted] from somebody');
    expect(shown.join('\n')).not.toMatch(/eyJ|canary-password/);
    expect(shown).toHaveLength(6);
  });

  it('takes no name that leads out of its folder', () => {
    expect(logFileOf('/logs', 'mcp:a-b', 'id')).toBe('/logs/mcp:a-b/id.log');
    for (const name of ['..', '../x', 'a/b', '', '.hidden'])
      expect(() => logFileOf('/logs', name, 'id')).toThrow(RangeError);
  });
});
