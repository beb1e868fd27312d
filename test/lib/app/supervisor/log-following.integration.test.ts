import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, mkdirSync, openSync, statSync, truncateSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { followLogs } from '../../../../src/lib/app/supervisor/log-following.ts';
import { readLogs } from '../../../../src/lib/app/supervisor/log-reading.ts';
import { temporaryFolder } from '../../../helpers/temporary-folder.ts';
import { until } from '../../../helpers/until.ts';

async function logs(...services: string[]) {
  const folder = await temporaryFolder();
  for (const service of services) mkdirSync(join(folder.path, service));
  return {
    dir: folder.path,
    file: (service: string, run = 'a') => join(folder.path, service, `${run}.log`),
    [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
  };
}

const json = (time: string, msg: string, level = 'info') => `${JSON.stringify({ level, time, msg })}\n`;

describe('reading the logs', () => {
  it('merges services by time, over runs, by level and since', async () => {
    await using at = await logs('api', 'database');
    writeFileSync(at.file('api'), json('2026-11-21T12:00:00.000Z', 'old run'));
    utimesSync(at.file('api'), 1, 1);
    writeFileSync(
      at.file('api', 'b'),
      json('2026-11-21T12:00:02.000Z', 'new run') + json('2026-11-21T12:00:04.000Z', 'bad', 'error'),
    );
    writeFileSync(
      at.file('database'),
      '2026-11-21 12:00:03.000 UTC [1] LOG:  ready\n2026-11-21 12:00:01.000 UTC [1] LOG:  up\n',
    );
    const shown = (wanted: object): string[] =>
      readLogs(at.dir, { services: ['api', 'database'], lines: 20, ...wanted }).map(({ msg }) => msg);
    expect(shown({})).toEqual(['old run', 'up', 'new run', 'ready', 'bad']);
    expect(shown({ lines: 1 })).toEqual(['up', 'bad']);
    expect(shown({ services: ['api'], lines: 2 })).toEqual(['new run', 'bad']);
    expect(shown({ since: '2026-11-21T12:00:02.000Z', services: ['api'] })).toEqual(['new run', 'bad']);
    expect(shown({ level: 'error' })).toEqual(['bad']);
    expect(shown({ services: ['nothing-yet'] })).toEqual([]);
  });

  it('finds the few of a level among many of others', async () => {
    await using at = await logs('api');
    const lines = Array.from({ length: 20_000 }, (_, n) =>
      json('2026-11-21T12:00:00.000Z', `line ${n}`, n % 5_000 === 0 ? 'error' : 'info'),
    );
    writeFileSync(at.file('api'), lines.join(''));
    const found = readLogs(at.dir, { services: ['api'], lines: 3, level: 'warn' });
    expect(found.map(({ msg }) => msg)).toEqual(['line 5000', 'line 10000', 'line 15000']);
  });
});

describe('following the logs', () => {
  it('gives whole lines, through a truncation, of runs to come too, until it is told to stop', async () => {
    await using at = await logs('x');
    const file = at.file('x');
    writeFileSync(file, 'one\ntwo\n');
    const stop = new AbortController();
    const lines = followLogs(at.dir, { services: ['x'], lines: 1 }, stop.signal);
    const next = async (): Promise<string | undefined> => (await lines.next()).value?.line;
    expect(await next()).toBe('two');
    appendFileSync(file, 'thr');
    appendFileSync(file, 'ee\nfour\n');
    expect([await next(), await next()]).toEqual(['three', 'four']);
    truncateSync(file);
    appendFileSync(file, 'a\n');
    expect(await next()).toBe('a');
    appendFileSync(at.file('x', 'b'), 'of the next run\n');
    expect(await next()).toBe('of the next run');
    appendFileSync(file, 'rest');
    stop.abort();
    expect(await next()).toBe('rest');
    expect((await lines.next()).done).toBe(true);
  });

  it('a token that a program prints itself does not come out, neither of the tail nor while following', async () => {
    await using at = await logs('x');
    const file = at.file('x');
    const token = `eyJhbGciOiJFUzI1NiJ9.${'cGF5bG9hZA'.repeat(3)}.c2lnbmF0dXJl`;
    writeFileSync(
      file,
      `got ${token} from somebody\npostgres://sp:canary-password@127.0.0.1/db\n-----BEGIN PRIVATE KEY-----\n`,
    );
    const stop = new AbortController();
    const lines = followLogs(at.dir, { services: ['x'], lines: 9 }, stop.signal);
    const shown: string[] = [];
    const next = async () => shown.push(JSON.stringify((await lines.next()).value));
    for (let n = 0; n < 3; n += 1) await next();
    // The key began before the follower came.
    appendFileSync(file, `canaryBody0123456789\n-----END PRIVATE KEY-----\nauthorization: Bearer ${token}\n`);
    for (let n = 0; n < 3; n += 1) await next();
    appendFileSync(file, 'password=canary-password');
    stop.abort();
    await next();
    expect(shown[0]).toContain('got [redacted] from somebody');
    expect(shown.join('\n')).not.toMatch(/eyJ|canary/);
    expect(shown).toHaveLength(7);
  });

  it('loses no line and repeats none while the file is rotated under a writer of its own process', async () => {
    await using at = await logs('x');
    const file = at.file('x');
    const total = 40_000;
    // A program that rotates the file it writes to, as ours do.
    const program = `
      import { writeSync } from 'node:fs';
      import { rotateLog } from ${JSON.stringify(new URL('../../../../src/lib/infra/process/log-rotation.ts', import.meta.url).href)};
      for (let n = 0; n < ${total}; n += 1) {
        writeSync(1, 'line ' + n + '\\n');
        if (n % 97 === 0) rotateLog(${JSON.stringify(file)}, { maxBytes: 20_000, maxFiles: 60 });
      }`;
    const out = openSync(file, 'a');
    const stop = new AbortController();
    const seen: string[] = [];
    const reading = (async () => {
      for await (const { line } of followLogs(at.dir, { services: ['x'], lines: 0 }, stop.signal)) seen.push(line);
    })();
    const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
      stdio: ['ignore', out, 'inherit'],
    });
    await once(child, 'exit');
    await until('the last line', () => seen.at(-1) === `line ${total - 1}`, 20_000);
    stop.abort();
    await reading;
    expect(seen).toEqual(Array.from({ length: total }, (_, n) => `line ${n}`));
    expect(statSync(file).size).toBeLessThan(total * 11);
    expect(statSync(`${file}.5`).size).toBeGreaterThan(0);
  }, 60_000);
});
