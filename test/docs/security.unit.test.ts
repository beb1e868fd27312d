import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';

/*
 * docs/security.md lists what identity must withstand, each point with the tests that are named after it (`auth 17: …`).
 * The last column is made here: UPDATE_GOLDEN=1 writes it.
 */

const root = join(import.meta.dirname, '../..');
const page = join(root, 'docs/security.md');
const points = 56;
/** `| 17 | what | tests |` */
const row = /^\| (\d+) \| (.+) \| (.+) \|$/;
/** What stands in place of tests where there can be none yet. */
const reason = /^none yet: .{20,}$/;

/** The files with a test of that number in its name, without what all names end with. */
function testsByNumber(): Map<number, string[]> {
  const found = new Map<number, Set<string>>();
  for (const name of readdirSync(join(root, 'test'), { recursive: true, encoding: 'utf8' })) {
    if (!/\.test\.tsx?$/.test(name) || name === 'docs/security.unit.test.ts') continue;
    for (const [, number] of readFileSync(join(root, 'test', name), 'utf8').matchAll(/\bauth (\d{1,2})(?=[:,)])/g)) {
      const files = found.get(Number(number)) ?? new Set();
      found.set(Number(number), files.add(name.replace(/\.test\.tsx?$/, '')));
    }
  }
  return new Map([...found].map(([number, files]) => [number, [...files].sort()]));
}

it('every requirement on identity is named by a test, or says why not', () => {
  const tests = testsByNumber();
  const lines = readFileSync(page, 'utf8').split('\n');
  const numbers: number[] = [];
  const made = lines.map((line) => {
    const [, number = '', what = '', now = ''] = row.exec(line) ?? [];
    if (number === '') return line;
    numbers.push(Number(number));
    const files = tests.get(Number(number)) ?? [];
    if (files.length === 0) expect(now, `auth ${number} has no test: write one, or why there is none`).toMatch(reason);
    return `| ${number} | ${what} | ${files.length === 0 ? now : files.map((file) => `\`${file}\``).join(', ')} |`;
  });
  expect(numbers).toEqual(Array.from({ length: points }, (_, index) => index + 1));
  expect([...tests.keys()].filter((number) => !numbers.includes(number))).toEqual([]);
  if (process.env['UPDATE_GOLDEN'] === '1') writeFileSync(page, made.join('\n'));
  else expect(lines).toEqual(made);
});
