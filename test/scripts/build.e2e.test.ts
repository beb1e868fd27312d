import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { command, makeCheckout } from '../helpers/checkout.ts';

const manifestOf = async (path: string) =>
  JSON.parse(await readFile(join(path, 'oclif.manifest.json'), 'utf8')) as {
    commands: Record<string, { summary: string }>;
  };

const chunksOf = (path: string) => readdir(join(path, 'dist', 'chunks'));

describe('scripts/build.mjs', () => {
  it('builds the commands and their index, and says in one line how long it took', async () => {
    await using checkout = await makeCheckout();
    const { code, stdout } = await checkout.run('build.mjs');
    expect(code).toBe(0);
    expect(stdout).toMatch(/^build: \d+ files in [\d.]+ m?s\n$/);
    expect(await readdir(join(checkout.path, 'dist', 'commands'))).toEqual(['hello.js']);
    expect(Object.keys((await manifestOf(checkout.path)).commands)).toEqual(['hello']);
    expect((await readdir(checkout.path)).filter((name) => name.startsWith('.build-'))).toEqual([]);
  });

  it('does nothing with --if-changed until an input changes', async () => {
    await using checkout = await makeCheckout();
    await checkout.run('build.mjs');
    expect((await checkout.run('build.mjs', ['--if-changed'])).stdout).toMatch(/^build: unchanged/);
    await checkout.write('src/commands/hello.ts', command('Greets warmly'));
    expect((await checkout.run('build.mjs', ['--if-changed'])).stdout).toMatch(/files in/);
    expect((await manifestOf(checkout.path)).commands.hello?.summary).toBe('Greets warmly');
  });

  it('leaves the last build as it was when a source is broken, and says where', async () => {
    await using checkout = await makeCheckout();
    await checkout.run('build.mjs');
    const before = await readFile(join(checkout.path, 'dist', 'commands', 'hello.js'), 'utf8');
    await checkout.write('src/commands/hello.ts', "import './nowhere.ts';\n");
    const { code, stdout, stderr } = await checkout.run('build.mjs');
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(/^src\/commands\/hello\.ts:1:8 {2}Could not resolve/);
    expect(await readFile(join(checkout.path, 'dist', 'commands', 'hello.js'), 'utf8')).toBe(before);
    expect((await readdir(checkout.path)).filter((name) => name.startsWith('.build-'))).toEqual([]);
  });

  it('fails when a command cannot be loaded: an index with a gap would hide it', async () => {
    await using checkout = await makeCheckout();
    await checkout.write('src/commands/broken.ts', "throw new Error('not loadable');\n");
    const { code, stderr } = await checkout.run('build.mjs');
    expect(code).toBe(1);
    expect(stderr).toContain('not loadable');
    expect(await readdir(checkout.path)).not.toContain('oclif.manifest.json');
  });

  it('keeps the chunks of the build before for processes that run from them, and those of no earlier one', async () => {
    await using checkout = await makeCheckout();
    await checkout.write('src/commands/again.ts', command('Greets again'));
    const builds: string[][] = [];
    for (const greeting of ['one', 'two', 'three']) {
      await checkout.write('src/greeting.ts', `export const greeting = '${greeting}';\n`);
      await checkout.run('build.mjs');
      const { files } = JSON.parse(await readFile(join(checkout.path, 'dist', '.build.json'), 'utf8')) as {
        files: string[];
      };
      builds.push(files.filter((file) => file.startsWith('chunks/')).map((file) => file.slice('chunks/'.length)));
    }
    const [one = [], two = [], three = []] = builds;
    const gone = one.filter((file) => !two.includes(file) && !three.includes(file));
    expect(gone.length).toBeGreaterThan(0);
    expect((await chunksOf(checkout.path)).sort()).toEqual([...new Set([...two, ...three])].sort());
  });
});
