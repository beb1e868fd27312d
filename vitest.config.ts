import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));

interface Level {
  /** The suffix of its files, `<suffix>.test.ts`. */
  readonly name: string;
  /** Bounds of one test and of one hook, in ms. A test that waits has a tighter deadline of its own. */
  readonly timeout: number;
  /** Files that run at the same time. */
  readonly workers: number;
  /** Prepares what all of its files share, once a run. */
  readonly setup: readonly string[];
}

const built = './test/helpers/built-global.ts';
const postgres = './test/helpers/postgres-global.ts';
const supervisor = './test/helpers/supervisor-global.ts';

const levels: readonly Level[] = [
  { name: 'unit', timeout: 10_000, workers: 2, setup: [] },
  { name: 'integration', timeout: 30_000, workers: 3, setup: [postgres, supervisor] },
  { name: 'e2e', timeout: 120_000, workers: 3, setup: [built, postgres] },
  { name: 'browser', timeout: 120_000, workers: 1, setup: [built, postgres] },
  { name: 'conformance', timeout: 120_000, workers: 1, setup: [built, postgres] },
  // They wait more than they work.
  { name: 'fault', timeout: 180_000, workers: 3, setup: [built, postgres, supervisor] },
];

export default defineConfig({
  resolve: {
    // An extension imports the library face by the package's name; in tests that is the source, not what was built last.
    alias: [
      { find: /^systemprompt$/, replacement: here('./src/index.ts') },
      { find: /^systemprompt\/mcp$/, replacement: here('./src/mcp.ts') },
    ],
  },
  test: {
    projects: levels.map(({ name, timeout, workers, setup }, order) => ({
      extends: true as const,
      test: {
        name,
        include: [`test/**/*.${name}.test.{ts,tsx}`],
        environment: 'node',
        pool: 'forks',
        maxWorkers: workers,
        sequence: { groupOrder: order },
        testTimeout: timeout,
        hookTimeout: timeout,
        globalSetup: setup.filter((file) => existsSync(here(file))).map(here),
      },
    })),
    // A level that has no files yet doesn't fail the run; `scripts/test.mjs` fails one in which nothing ran at all.
    passWithNoTests: true,
    teardownTimeout: 20_000,
  },
});
