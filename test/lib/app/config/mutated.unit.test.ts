import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { loadServices } from '../../../../src/lib/app/config/load-services.ts';
import { ConfigInvalidError } from '../../../../src/lib/shared/errors.ts';
import { temporaryFolder } from '../../../helpers/temporary-folder.ts';
import { wholeTree } from './whole-tree.ts';

const names = Object.keys(wholeTree);
const scraps = [
  '',
  '\t',
  '  ',
  ':',
  ': ',
  '- ',
  '[',
  ']',
  '{',
  '}',
  ',',
  '"',
  "'",
  '&a ',
  '*a',
  '!include x.md',
  '!include ',
  '|',
  '#',
  '\n',
  '\r\n',
  '\r',
  'null',
  '0',
  '-1',
  '1e999',
  'true',
  '[]',
  '{}',
  '__proto__',
  'constructor',
  'toString',
  '${secret:x}',
  '<<: ',
  '---\n',
  '../../../x.yaml',
  '\u0000',
  '\ufeff',
  '\ud83d\ude00',
];

it('any change of a configuration that holds leaves one that holds, or findings with places in files that are there', async () => {
  await using folder = await temporaryFolder();
  const write = async (name: string, text: string) => {
    await mkdir(dirname(join(folder.path, name)), { recursive: true });
    await writeFile(join(folder.path, name), text);
  };
  for (const [name, text] of Object.entries(wholeTree)) await write(name, text);
  const change = fc.record({
    at: fc.double({ min: 0, max: 1, noNaN: true }),
    cut: fc.nat(12),
    put: fc.constantFrom(...scraps),
  });
  let refused = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...names),
      fc.array(change, { minLength: 1, maxLength: 3 }),
      async (name, changes) => {
        const original = wholeTree[name] ?? '';
        const text = changes.reduce((current, { at, cut, put }) => {
          const from = Math.floor(at * current.length);
          return current.slice(0, from) + put + current.slice(from + cut);
        }, original);
        await write(name, text);
        const error: unknown = await loadServices({ servicesDir: folder.path }).then(
          ({ tree }) => void JSON.stringify(tree),
          (reason: unknown) => reason,
        );
        await write(name, original);
        if (error === undefined) return;
        if (!(error instanceof ConfigInvalidError)) throw error;
        refused += 1;
        expect(error.issues.length).toBeGreaterThan(0);
        for (const { file, line, column, message, hint } of error.issues) {
          expect(file.startsWith(folder.path)).toBe(true);
          expect(line).toBeGreaterThanOrEqual(1);
          expect(column).toBeGreaterThanOrEqual(1);
          expect(message).toMatch(/\S/);
          expect(hint, message).toMatch(/\S/);
        }
      },
    ),
    { numRuns: 150 },
  );
  expect(refused).toBeGreaterThan(30);
}, 60_000);
