import { mkdirSync, utimesSync, writeFileSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createLocalInstance, type Instance } from '../../../src/lib/infra/config/instance.ts';
import { type CliLoop, type CliRun, openCliLoop, packageRoot } from '../../helpers/cli.ts';
import { manifestCommands } from '../../helpers/command-tree.ts';
import { pictures, story } from './faces-story.ts';

/*
 * What commands print, as it looks at a terminal of 80 and of 120 columns, without colours, and as JSON, is on record in
 * test/golden/faces. It is taken in a project of its own in which nothing runs. A command is in the table below, in the
 * story of a system that runs (faces-running.e2e.test.ts), or in test/golden/faces-missing.txt with the reason.
 * After a wanted change: UPDATE_GOLDEN=1 npx vitest run test/entry/cli/faces
 */

const execution = '01930000-0000-7000-8000-000000000001';

/** The lines that are run, by command. With several, the first are what it has to show, the last how it fails. */
const lines: Readonly<Record<string, readonly string[]>> = {
  'admin audit list': ['admin audit list'],
  'admin audit show': [`admin audit show ${execution}`],
  'admin config diff': ['admin config diff'],
  'admin config get': ['admin config get settings', 'admin config get nope'],
  'admin config show': ['admin config show settings', 'admin config show settings --origin'],
  'admin config validate': ['admin config validate'],
  'admin session list': ['admin session list'],
  'admin session login': ['admin session login'],
  'admin session logout': ['admin session logout'],
  'admin session show': ['admin session show'],
  'cloud auth login': ['cloud auth login', 'cloud auth login --url http://prompt.example.com'],
  'cloud auth logout': ['cloud auth logout'],
  'cloud auth whoami': ['cloud auth whoami'],
  'cloud profile list': ['cloud profile list'],
  'core skills list': ['core skills list'],
  'cloud profile show': ['cloud profile show local'],
  'cloud profile validate': ['cloud profile validate local', 'cloud profile validate nope'],
  'cloud secrets list': ['cloud secrets list'],
  'cloud tenant list': ['cloud tenant list'],
  'cloud tenant show': ['cloud tenant show local'],
  'build core': ['build core'],
  commands: ['commands settings', 'commands nope'],
  completion: ['completion nushell'],
  'infra db shell': ['infra db shell'],
  'infra logs stream': ['infra logs stream --service apj'],
  'infra logs audit': [`infra logs audit ${execution}`, 'infra logs audit nope'],
  'infra logs search': ['infra logs search took', "infra logs search --regex '(a)\\1'"],
  'infra logs summary': ['infra logs summary', 'infra logs summary --messages', 'infra logs summary --over-time'],
  'infra logs view': ['infra logs view --limit 3', 'infra logs view --cursor nope'],
  'infra services events': ['infra services events'],
  'infra services logs': ['infra services logs', 'infra services logs apj'],
  'infra services reconcile': ['infra services reconcile'],
  'infra services restart': ['infra services restart', 'infra services restart apj'],
  'infra services status': ['infra services status'],
  'infra services stop': ['infra services stop'],
  'plugins mcp call': ['plugins mcp call systemprompt systemprompt'],
  'plugins mcp inspect': ['plugins mcp inspect systemprompt'],
  'plugins mcp logs': ['plugins mcp logs systemprompt', 'plugins mcp logs apj'],
  'plugins mcp list': ['plugins mcp list'],
  'plugins mcp status': ['plugins mcp status'],
  'plugins mcp tools': ['plugins mcp tools'],
  'settings get': ['settings get output', 'settings get outptu'],
  'settings list': ['settings list'],
};

const faces = [
  { name: '80 columns', tty: true, columns: 80, env: {}, words: [] },
  { name: '120 columns', tty: true, columns: 120, env: {}, words: [] },
  { name: 'NO_COLOR', tty: true, columns: 80, env: { NO_COLOR: '1' }, words: [] },
  { name: 'JSON', tty: false, columns: 80, env: {}, words: ['--json'] },
] as const;

const golden = join(packageRoot, 'test/golden/faces');
const missingFile = join(packageRoot, 'test/golden/faces-missing.txt');
const renew = process.env.UPDATE_GOLDEN === '1';

let root: string;
let instance: Instance;
let loop: CliLoop;

beforeAll(async () => {
  // Not in TMPDIR: how long the path is decides where tables break.
  root = await mkdtemp('/tmp/systemprompt-faces-');
  mkdirSync(join(root, 'project'));
  instance = await createLocalInstance(join(root, 'project'));
  const line = (second: number, level: string, msg: string, more: object = {}): string =>
    `${JSON.stringify({ level, time: `2026-01-31T12:00:0${second}.000Z`, msg, ...more })}\n`;
  const run = '11111111-1111-4111-8111-111111111111.log';
  const logs = {
    api:
      line(1, 'info', 'Listening', { port: 8080 }) +
      line(3, 'warn', 'took 5123 ms', { path: '/api/v1/mcp/systemprompt/mcp' }),
    'mcp:systemprompt':
      line(2, 'info', 'listening', { tools: 2 }) + line(4, 'error', 'tool failed', { execution, tool: 'systemprompt' }),
    database: '2026-01-31 12:00:00.000 UTC [7] LOG:  database system is ready to accept connections\n',
  };
  for (const [service, text] of Object.entries(logs)) {
    mkdirSync(join(instance.logsDir, service), { recursive: true });
    const file = join(instance.logsDir, service, run);
    writeFileSync(file, text);
    utimesSync(file, new Date('2026-01-31T12:00:05Z'), new Date('2026-01-31T12:00:05Z'));
  }
  loop = openCliLoop();
});
afterAll(async () => {
  await loop?.[Symbol.asyncDispose]();
  for (const path of [root, instance?.runtimeDir])
    if (path !== undefined) await rm(path, { recursive: true, force: true });
});

/** Words as a shell would cut them. */
function wordsOf(line: string): string[] {
  return (line.match(/'[^']*'|\S+/g) ?? []).map((word) => word.replaceAll("'", ''));
}

/** What differs between two runs, replaced by something of the same length. */
function steady(text: string): string {
  return text
    .replaceAll(root, '/tmp/systemprompt-faces-xxxxxx')
    .replaceAll(/\b(?!01930000)[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b/g, (id) =>
      id.replaceAll(/[0-9a-f]/g, '0'),
    )
    .replaceAll(/\b[0-9a-f]{64}\b/g, '0'.repeat(64))
    .replaceAll(/\/(?:instances|systemprompt-\d+)\/[0-9a-f]{12}\b/g, (path) =>
      path.replace(/[0-9a-f]{12}$/, '0'.repeat(12)),
    )
    .replaceAll(/\b20\d\d-\d\d-\d\d(?:[T ][\d:.]+Z)?/g, (time) =>
      time.startsWith('2026-01-31') ? time : time.replaceAll(/\d/g, '0'),
    )
    .replaceAll(packageRoot, '/package/')
    .replaceAll('\u001B', '␛');
}

function shown(line: string, face: string, { code, stdout, stderr }: CliRun): string {
  const parts = [`── ${line}  (${face}, exit code ${code})`];
  if (stdout !== '') parts.push(steady(stdout).trimEnd());
  if (stderr !== '') parts.push('── standard error', steady(stderr).trimEnd());
  return parts.join('\n');
}

it.each(Object.entries(lines))('%s looks as it is on record', async (name, own) => {
  const texts: string[] = [];
  for (const line of own) {
    for (const { name: face, words, ...terminal } of faces) {
      const env = { HOME: join(root, 'home'), TERM: 'xterm', ...terminal.env };
      const ran = await loop.run({ ...terminal, argv: [...wordsOf(line), ...words], cwd: instance.root, env });
      // A command that waits for what nobody sends has no face.
      expect(ran.code).not.toBeNull();
      texts.push(shown(line, face, ran));
      // A row of a table is never wider than the terminal; what is to be copied may be.
      if (words.length > 0) expect(ran.stdout.trimEnd()).not.toContain('\n');
    }
  }
  const file = join(golden, `${name.replaceAll(' ', '-')}.txt`);
  const text = `${texts.join('\n\n')}\n`;
  if (renew) {
    mkdirSync(golden, { recursive: true });
    await writeFile(file, text);
  }
  expect(text).toBe(await readFile(file, 'utf8'));
});

it('knows of every command why its faces are not on record', async () => {
  const names = (await manifestCommands())
    .filter(({ hidden }) => hidden !== true)
    .map(({ id }) => id.replaceAll(':', ' '));
  const stored = await readFile(missingFile, 'utf8').catch(() => '');
  const reasons = new Map(
    stored
      .split('\n')
      .filter((row) => row.includes(': '))
      .map((row) => [row.slice(0, row.indexOf(': ')), row.slice(row.indexOf(': ') + 2)] as const),
  );
  const told = new Set([...story, ...pictures].map(({ command }) => command));
  const missing = names.filter((name) => !Object.hasOwn(lines, name) && !told.has(name)).sort();
  const rows = missing.map((name) => `${name}: ${reasons.get(name) ?? 'not yet'}\n`).join('');
  if (renew) await writeFile(missingFile, rows);
  expect(await readFile(missingFile, 'utf8')).toBe(rows);
  expect([...Object.keys(lines), ...told].filter((name) => !names.includes(name))).toEqual([]);
  const files = (await readdir(golden)).map((file) => file.replace(/\.txt$/, ''));
  expect(files.sort()).toEqual(
    Object.keys(lines)
      .map((name) => name.replaceAll(' ', '-'))
      .sort(),
  );
});
