import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createProject, requireFreeFolder } from '../../../../src/lib/app/init/create-project.ts';
import { temporaryFolder } from '../../../helpers/temporary-folder.ts';

const files = new Map([
  ['package.json', '{}'],
  [join('a', 'b', 'c.txt'), 'text'],
  ['.gitignore', 'dist/'],
]);

describe('a new project', () => {
  it('is written whole, folders above it too, and leaves nothing beside it', async () => {
    await using folder = await temporaryFolder();
    const project = join(folder.path, 'x', 'y', 'project');
    await createProject(project, files);
    expect(readFileSync(join(project, 'a/b/c.txt'), 'utf8')).toBe('text');
    expect(readdirSync(join(folder.path, 'x', 'y'))).toEqual(['project']);
  });

  it('goes into a folder that is there, the same one after as before, beside .git', async () => {
    await using folder = await temporaryFolder();
    mkdirSync(join(folder.path, '.git'));
    const { ino } = statSync(folder.path);
    await createProject(folder.path, files);
    expect(readdirSync(folder.path).sort()).toEqual(['.git', '.gitignore', 'a', 'package.json']);
    expect(statSync(folder.path).ino).toBe(ino);
  });

  it('overwrites nothing: what is in the way is listed, and stays as it is', async () => {
    await using folder = await temporaryFolder();
    for (let n = 10; n < 25; n += 1) writeFileSync(join(folder.path, `file-${n}`), '');
    writeFileSync(join(folder.path, '.env'), 'own');
    await expect(createProject(folder.path, files)).rejects.toMatchObject({
      code: 'PRECONDITION',
      message: expect.stringMatching(/is not empty: \.env, file-10, .*file-18 and 6 more would be in the way$/),
      data: { obstacles: expect.arrayContaining(['file-24']) },
    });
    expect(readdirSync(folder.path)).toHaveLength(16);
    await expect(requireFreeFolder(join(folder.path, '.env'))).rejects.toMatchObject({
      message: expect.stringContaining('is a file, not a folder'),
    });
  });

  it('is one of them when two are made at once, never a mixture', async () => {
    await using folder = await temporaryFolder();
    for (let round = 0; round < 20; round += 1) {
      const project = join(folder.path, `project-${round}`);
      const one = (text: string) => createProject(project, new Map([...files].map(([path]) => [path, text])));
      const settled = await Promise.allSettled([one('first'), one('second')]);
      const made = settled.filter(({ status }) => status === 'fulfilled');
      expect(made).toHaveLength(1);
      const contents = [...files.keys()].map((path) => readFileSync(join(project, path), 'utf8'));
      expect(new Set(contents).size).toBe(1);
    }
    expect(readdirSync(folder.path)).toHaveLength(20);
  });

  it('leaves nothing of what could not be written to its end', async () => {
    await using folder = await temporaryFolder();
    // A file where a folder is needed: the second one can't be written.
    const broken = new Map([
      ['a', 'file'],
      [join('a', 'b'), 'text'],
    ]);
    for (const project of [join(folder.path, 'project'), folder.path]) {
      await expect(createProject(project, broken)).rejects.toMatchObject({ code: 'PRECONDITION' });
      expect(existsSync(join(folder.path, 'project'))).toBe(false);
      expect(readdirSync(folder.path)).toEqual([]);
    }
  });
});
