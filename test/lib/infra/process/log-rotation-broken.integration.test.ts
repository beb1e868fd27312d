import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it, vi } from 'vitest';
import { rotateLog } from '../../../../src/lib/infra/process/log-rotation.ts';
import { temporaryFolder } from '../../../helpers/temporary-folder.ts';

const renames = vi.hoisted(() => ({ broken: false }));
vi.mock('node:fs', async (original) => {
  const fs = await original<typeof import('node:fs')>();
  const renameSync: typeof fs.renameSync = (from, to) => {
    if (renames.broken) throw Object.assign(new Error('EIO: i/o error, rename'), { code: 'EIO' });
    fs.renameSync(from, to);
  };
  return { ...fs, renameSync };
});

it('what was copied is not lost when the very last step fails', async () => {
  await using folder = await temporaryFolder();
  const file = join(folder.path, 'x.log');
  writeFileSync(file, 'kept\n');
  renames.broken = true;
  expect(() => rotateLog(file, { maxBytes: 1, maxFiles: 3 })).toThrow('EIO');
  renames.broken = false;
  const copies = [file, `${file}.rotating`].map((path) => {
    try {
      return readFileSync(path, 'utf8');
    } catch {
      return '';
    }
  });
  expect(copies.join('')).toBe('kept\n');
});
