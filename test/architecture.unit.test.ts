import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('..', import.meta.url));
const { forbidden } = createRequire(import.meta.url)('../.dependency-cruiser.cjs') as { forbidden: { name: string }[] };

interface Plant {
  readonly rule: string;
  /** The file that breaks the rule, and what it holds. */
  readonly file: string;
  readonly source: string;
  /** What the violation needs around it. */
  readonly around?: Readonly<Record<string, string>>;
}

const anything = 'export const anything = 1;\n';
const planted = {
  'src/lib/infra/planted/anything.ts': anything,
  'src/lib/app/planted/anything.ts': anything,
  'src/lib/domain/planted/index.ts': anything,
  'src/lib/domain/planted/inside.ts': anything,
  'src/entry/api/planted.ts': anything,
  'src/entry/cli/planted.ts': anything,
};

/** One violation of each rule of .dependency-cruiser.cjs; where a rule has several sides, one of each. */
const imports: readonly Plant[] = [
  { rule: 'shared-not-upward', file: 'src/lib/shared/up.ts', source: "import '../infra/planted/anything.ts';" },
  {
    rule: 'shared-not-upward',
    file: 'src/lib/shared/up-type.ts',
    source: "import type { anything } from '../domain/planted/index.ts';\nexport type Up = typeof anything;",
  },
  {
    rule: 'infra-not-upward',
    file: 'src/lib/infra/up.ts',
    source: "export const up = () => import('../app/planted/anything.ts');",
  },
  { rule: 'domain-not-upward', file: 'src/lib/domain/up/index.ts', source: "import '../../app/planted/anything.ts';" },
  { rule: 'app-not-upward', file: 'src/lib/app/up.ts', source: "import '../../entry/cli/planted.ts';" },
  {
    rule: 'entry-not-upward',
    file: 'src/entry/cli/up.ts',
    source: "import '../../commands/planted.ts';",
    around: { 'src/commands/planted.ts': anything },
  },
  { rule: 'shared-is-pure', file: 'src/lib/shared/reads.ts', source: "import 'node:fs/promises';" },
  { rule: 'no-cross-domain', file: 'src/lib/domain/other/index.ts', source: "import '../planted/index.ts';" },
  { rule: 'domain-by-its-face', file: 'src/lib/app/inside.ts', source: "import '../domain/planted/inside.ts';" },
  {
    rule: 'domain-by-its-face',
    file: 'src/entry/api/inside.ts',
    source: "import '../../lib/domain/planted/inside.ts';",
  },
  { rule: 'domain-knows-no-transport', file: 'src/lib/domain/other/serves.ts', source: "import 'node:http';" },
  { rule: 'domain-knows-no-transport', file: 'src/lib/domain/other/calls.ts', source: "import 'undici';" },
  {
    rule: 'only-process-spawns',
    file: 'src/lib/app/spawns.ts',
    source: "import { spawn } from 'node:child_process';\nexport { spawn };",
  },
  { rule: 'only-process-spawns', file: 'extensions/mcp/planted/spawns.ts', source: "import 'child_process';" },
  { rule: 'only-database-pools', file: 'src/lib/app/pools.ts', source: "import 'pg';" },
  { rule: 'entries-apart', file: 'src/entry/cli/serves.ts', source: "import '../api/planted.ts';" },
  { rule: 'entries-apart', file: 'src/entry/api/prints.ts', source: "import '../cli/planted.ts';" },
  { rule: 'commands-only-cli', file: 'src/commands/serves.ts', source: "import '../entry/api/planted.ts';" },
  {
    rule: 'commands-apart',
    file: 'src/commands/one.ts',
    source: "import './two.ts';",
    around: { 'src/commands/two.ts': anything },
  },
  { rule: 'only-cli-knows-the-terminal', file: 'src/lib/app/draws.ts', source: "import 'ink';" },
  { rule: 'only-cli-knows-the-terminal', file: 'src/entry/api/flags.ts', source: "import '@oclif/core';" },
  { rule: 'only-api-knows-fastify', file: 'src/lib/app/routes.ts', source: "import 'fastify';" },
  {
    rule: 'face-is-for-extensions',
    file: 'src/lib/app/face.ts',
    source: "import '../../index.ts';",
    around: { 'src/index.ts': anything },
  },
  {
    rule: 'extensions-see-the-face-only',
    file: 'extensions/mcp/planted/inside.ts',
    source: "import '../../../src/lib/app/planted/anything.ts';",
  },
  {
    rule: 'extensions-see-the-face-only',
    file: 'extensions/mcp/planted/neighbour.ts',
    source: "import '../other/index.ts';",
    around: { 'extensions/mcp/other/index.ts': anything },
  },
  {
    rule: 'extensions-import-the-package',
    file: 'extensions/mcp/planted/by-path.ts',
    source: "import '../../../src/index.ts';",
    around: { 'src/index.ts': anything },
  },
  { rule: 'extensions-depend-on-zod-only', file: 'extensions/mcp/planted/package.ts', source: "import 'jose';" },
  {
    rule: 'no-circular',
    file: 'src/lib/app/cycle.ts',
    source: "import './elcyc.ts';",
    around: { 'src/lib/app/elcyc.ts': "import './cycle.ts';" },
  },
  {
    rule: 'no-circular',
    file: 'src/lib/app/cycle-type.ts',
    source: "import type { B } from './elcyc-type.ts';\nexport type A = B | 1;",
    around: { 'src/lib/app/elcyc-type.ts': "import type { A } from './cycle-type.ts';\nexport type B = A | 2;" },
  },
  {
    rule: 'product-not-to-tests',
    file: 'src/lib/app/tests.ts',
    source: "import '../../../test/planted.ts';",
    around: { 'test/planted.ts': anything },
  },
  {
    rule: 'declared-packages-only',
    file: 'src/lib/app/undeclared.ts',
    source: "import '@modelcontextprotocol/sdk/types.js';",
  },
  { rule: 'no-unresolvable', file: 'src/lib/app/nowhere.ts', source: "import './is-not-there.ts';" },
];

/** Walls that are not about imports of modules: biome keeps them. */
const lints: readonly Plant[] = [
  { rule: 'noJsRestrictedProperties', file: 'src/lib/app/writes.ts', source: "process.stdout.write('x');" },
  { rule: 'noJsRestrictedProperties', file: 'src/commands/writes.ts', source: "process.stdout.write('x');" },
  {
    rule: 'noRestrictedImports',
    file: 'src/entry/api/writes.ts',
    source: "import { stdout } from 'node:process';\nstdout.write('x');",
  },
  { rule: 'noConsole', file: 'src/lib/infra/logs.ts', source: "console.log('x');" },
  { rule: 'noExplicitAny', file: 'src/lib/app/any.ts', source: 'export const it: any = 1;' },
  { rule: 'noDefaultExport', file: 'src/lib/app/default.ts', source: 'export default class It {}' },
  { rule: 'noBarrelFile', file: 'src/lib/app/barrel.ts', source: "export * from './any.ts';" },
  { rule: 'noEnum', file: 'src/lib/app/enum.ts', source: 'export enum It {\n  One,\n}' },
  {
    rule: 'useImportType',
    file: 'src/lib/app/type.ts',
    source: "import { It } from './default.ts';\nexport type Its = It[];",
  },
  {
    rule: 'noFloatingPromises',
    file: 'src/lib/app/floating.ts',
    source: 'async function it(): Promise<void> {}\nit();',
  },
];

/** What a program printed, whatever its exit code; the checkers end with 1 when they found something. */
function output(cwd: string, tool: string, ...args: string[]): Promise<{ code: number; text: string }> {
  return new Promise((resolve, reject) => {
    const program = [process.execPath, [join(root, 'node_modules', '.bin', tool), ...args]] as const;
    execFile(...program, { cwd, maxBuffer: 64 * 1024 * 1024 }, (error, stdout, stderr) => {
      if (error !== null && typeof error.code !== 'number') reject(error);
      else resolve({ code: error === null ? 0 : Number(error.code), text: stdout === '' ? stderr : stdout });
    });
  });
}

async function importViolations(tree: string): Promise<string[]> {
  const { text } = await output(tree, 'depcruise', 'src', 'extensions', '--no-progress', '--output-type', 'json');
  const report = JSON.parse(text) as {
    summary: { violations: { from: string; to: string; rule: { name: string } }[] };
  };
  return report.summary.violations.map(({ rule, from }) => `${rule.name}: ${from}`);
}

async function lintViolations(tree: string, files: readonly string[]): Promise<string[]> {
  const { text } = await output(tree, 'biome', 'lint', '--reporter=concise', '--max-diagnostics=none', ...files);
  return [...text.matchAll(/^[^ ]+ ([^ :]+):\d+:\d+: lint\/\w+\/(\w+)/gm)].map(([, file, rule]) => `${rule}: ${file}`);
}

let tree: string;

beforeAll(async () => {
  tree = await mkdtemp(join(tmpdir(), 'systemprompt-architecture-'));
  const parts = [
    'src',
    'extensions',
    'package.json',
    'tsconfig.json',
    '.dependency-cruiser.cjs',
    'biome.json',
    '.gitignore',
  ];
  await Promise.all(parts.map((part) => cp(join(root, part), join(tree, part), { recursive: true })));
  await symlink(join(root, 'node_modules'), join(tree, 'node_modules'));
  for (const { file, source, around } of [...imports, ...lints]) {
    for (const [path, content] of Object.entries({ ...planted, ...around, [file]: `${source}\n` })) {
      await mkdir(dirname(join(tree, path)), { recursive: true });
      // What is there of the product stays: the face, say, is only needed to exist.
      if (path === file) await writeFile(join(tree, path), content);
      else await writeFile(join(tree, path), content, { flag: 'wx' }).catch(ignoreExisting);
    }
  }
}, 60_000);

afterAll(() => rm(tree, { recursive: true, force: true }));

function ignoreExisting(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EEXIST') throw error;
}

describe('the architecture', () => {
  it('has no violation in the tree as it is', { timeout: 60_000 }, async () => {
    expect(await importViolations(root)).toEqual([]);
  });

  it('has a plant for every rule', () => {
    expect([...new Set(imports.map(({ rule }) => rule))].sort()).toEqual(forbidden.map(({ name }) => name).sort());
  });

  describe('catches what is planted', () => {
    let found: string[];
    beforeAll(async () => {
      const [byImport, byLint] = await Promise.all([
        importViolations(tree),
        lintViolations(
          tree,
          lints.map(({ file }) => file),
        ),
      ]);
      found = [...byImport, ...byLint];
    }, 60_000);

    it.each([...imports, ...lints])('$rule in $file', ({ rule, file }) => {
      expect(found).toContain(`${rule}: ${file}`);
    });
  });
});
