import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { cliEnvironment, runScript } from '../../helpers/cli.ts';
import { type RunningSystem, startSystem } from '../../helpers/running-system.ts';

/** Packages that cost tens of milliseconds, and that nobody needs who only looks. */
const heavy = [
  'zod',
  'pg',
  'kysely',
  'pino',
  'ink',
  'react',
  'undici',
  'jose',
  'yaml',
  'fastify',
  '@modelcontextprotocol/client',
];

/** Prints each module that is loaded, and at the end whether Node.js loaded the undici of its own. */
const trace = `data:text/javascript,import m from 'node:module';
const say=(t)=>process.stderr.write(t+'\\n');
m.registerHooks({load(url,context,next){say('LOADED '+url);return next(url,context)}});
process.on('exit',()=>{for(const name of process.moduleLoadList)if(name.includes('undici'))say('INTERNAL '+name)});`;

let system: RunningSystem;
beforeAll(async () => {
  system = await startSystem();
}, 120_000);
afterAll(async () => {
  await system?.[Symbol.asyncDispose]();
});

async function loadedBy(...argv: string[]): Promise<{ code: number | null; files: string[]; internal: string[] }> {
  const child = spawn(process.execPath, ['--import', trace, runScript, ...argv], {
    cwd: system.instance.root,
    env: cliEnvironment(),
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let stderr = '';
  child.stderr.on('data', (text) => {
    stderr += text;
  });
  await once(child, 'close');
  const said = (mark: string): string[] =>
    stderr.split('\n').flatMap((line) => (line.startsWith(mark) ? [line.slice(mark.length + 1)] : []));
  const files = said('LOADED').filter((url) => url.startsWith('file:') && url.includes('/dist/'));
  return { code: child.exitCode, files: files.map((url) => fileURLToPath(url)), internal: said('INTERNAL') };
}

it.each([
  ['the root help', ['--help'], 5],
  ['infra services status', ['infra', 'services', 'status'], 35],
  ['infra services status --json', ['infra', 'services', 'status', '--json'], 35],
  ['a usage error', ['infra', 'services', 'status', '--nope'], 35],
])('%s loads nothing heavy', async (_name, argv, most) => {
  const { code, files, internal } = await loadedBy(...argv);
  expect([0, 2]).toContain(code);
  expect(files.length).toBeGreaterThan(0);
  expect(files.length).toBeLessThanOrEqual(most);
  expect(internal).toEqual([]);
  for (const file of files) {
    const text = await readFile(file, 'utf8');
    // The bundler names the source of each part.
    const found = heavy.filter((name) => text.includes(`// node_modules/${name}/`));
    expect(found, file).toEqual([]);
  }
});
