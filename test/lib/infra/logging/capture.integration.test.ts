import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';

const program = join(import.meta.dirname, '../../../fixtures/programs/long-lines.ts');
const secret = 'canary-of-some-length-1234567890';

it('lines that are too long come in pieces: all of them, and no secret between two', async () => {
  const { stdout } = await promisify(execFile)(process.execPath, [program], {
    env: { LONG_LINES_SECRET: secret },
    maxBuffer: 10_000_000,
  });
  const lines = stdout.trimEnd().split('\n');
  const messages = lines.map((line) => (JSON.parse(line) as { msg: string }).msg);
  const all = messages.join('');
  expect(all).not.toContain('canary');
  expect(all).not.toContain(secret.slice(5));
  expect(all).toContain('[redacted]');
  expect(all).toContain('n59999 😀end');
  const numbers = [...all.matchAll(/\bn(\d+)/g)].map(([, number]) => Number(number));
  expect(numbers.slice(0, 10_000)).toEqual(Array.from({ length: 10_000 }, (_, index) => index));
  expect(numbers.slice(-20_000)).toEqual(Array.from({ length: 20_000 }, (_, index) => 40_000 + index));
  expect(Math.max(...lines.map((line) => line.length))).toBeLessThan(10_000);
});
