import { spawn } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { appendFileSync, existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { LogCursor } from '../../../../src/lib/infra/process/log-cursor.ts';
import { partsOf, rotateLog } from '../../../../src/lib/infra/process/log-rotation.ts';
import { readTail, tailLines } from '../../../../src/lib/infra/process/log-tail.ts';
import { logFileOf } from '../../../../src/lib/infra/process/logs.ts';
import { temporaryFolder } from '../../../helpers/temporary-folder.ts';
import { until } from '../../../helpers/until.ts';

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

  it('a cursor goes on right behind the last line that was read, while another process writes', async () => {
    await using folder = await temporaryFolder();
    const file = join(folder.path, 'x.log');
    const writer = spawn(process.execPath, [
      '-e',
      `const fs = require('node:fs'); const to = fs.openSync(${JSON.stringify(file)}, 'a');
       for (let n = 0; n < 1_000_000; n += 1) fs.writeSync(to, 'line ' + n + '\\n');`,
    ]);
    try {
      await until('the file', () => existsSync(file));
      for (let look = 0; look < 3_000; look += 1) {
        const { lines, position } = readTail(file, () => () => true);
        const [next = ''] = new LogCursor(file, position).next();
        const last = Number(lines.at(-1)?.slice('line '.length) ?? -1);
        if (next !== '') expect(next).toBe(`line ${last + 1}`);
      }
    } finally {
      writer.kill('SIGKILL');
    }
  });

  it('reads on into the rotated parts', async () => {
    await using folder = await temporaryFolder();
    const file = join(folder.path, 'x.log');
    const all = Array.from({ length: 5_000 }, (_, index) => `line ${index}`);
    for (const [index, line] of all.entries()) {
      appendFileSync(file, `${line}\n`);
      if (index % 1_000 === 999) rotateLog(file, { maxBytes: 1, maxFiles: 9 });
    }
    expect(partsOf(file).map(({ age }) => age)).toEqual([1, 2, 3, 4, 5]);
    appendFileSync(file, 'last\n');
    expect(tailLines(file, 3_000)).toEqual([...all, 'last'].slice(-3_000));
    expect(tailLines(file, 9_999)).toHaveLength(5_001);
  });

  it('a key that is printed over several lines is not shown, wherever the window begins', async () => {
    await using folder = await temporaryFolder();
    const file = join(folder.path, 'x.log');
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
    const body = pem.split('\n').slice(1, -2);
    writeFileSync(file, `before\n${pem}after\n`);
    for (const count of [2, 5, 20, 99]) {
      const shown = tailLines(file, count).join('\n');
      for (const line of body) expect(shown).not.toContain(line);
      expect(shown).toMatch(/after$/);
    }
    expect(tailLines(file, 99)[0]).toBe('before');
  });

  it('takes no name that leads out of its folder', () => {
    expect(logFileOf('/logs', 'mcp:a-b', 'id')).toBe('/logs/mcp:a-b/id.log');
    for (const name of ['..', '../x', 'a/b', '', '.hidden'])
      expect(() => logFileOf('/logs', name, 'id')).toThrow(RangeError);
  });
});
