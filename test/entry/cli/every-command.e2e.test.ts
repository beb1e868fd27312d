import { globSync, readFileSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { environment } from '../../../src/entry/cli/environment.ts';
import { resolveCommand } from '../../../src/entry/cli/resolve.ts';
import { permissions } from '../../../src/lib/shared/permission.ts';
import { type CliLoop, type CliRun, openCliLoop, packageRoot } from '../../helpers/cli.ts';
import { commandTree, type ManifestCommand, manifestCommands } from '../../helpers/command-tree.ts';

const commands = await manifestCommands();
const ids = commands.map((command) => command.id);

const golden = join(packageRoot, 'test/golden/commands.txt');

const spoken = (command: ManifestCommand): string[] => command.id.split(':');

// All of it runs in one process, some milliseconds a line: with a process each, a hundred commands would take minutes.
let loop: CliLoop;
let cwd: string;
/** The user's own folders, which no command of a test may write to. */
let home: string;

beforeAll(async () => {
  cwd = await mkdtemp(join(tmpdir(), 'systemprompt-cli-'));
  home = await mkdtemp(join(tmpdir(), 'systemprompt-home-'));
  loop = openCliLoop();
});
afterAll(async () => {
  await loop[Symbol.asyncDispose]();
  for (const folder of [cwd, home]) await rm(folder, { recursive: true, force: true });
});

const run = (argv: readonly string[], folder = cwd): Promise<CliRun> =>
  loop.run({ argv, cwd: folder, env: { HOME: home } });

interface Failure {
  readonly ok: false;
  readonly error: {
    readonly code: string;
    readonly message: string;
    readonly hint?: string;
    readonly next: readonly string[];
  };
}

/** Runs a line that must fail, in both modes, and checks what holds for every failure. */
async function fails(argv: readonly string[]): Promise<Failure> {
  const text = await run(argv);
  const json = await run([...argv, '--json']);
  const line = JSON.stringify(argv);
  expect(text.stdout, `${line} printed on stdout`).toBe('');
  expect(text.stderr, `${line} said nothing`).not.toBe('');
  expect(text.code, `${line} has exit codes of its own in JSON mode`).toBe(json.code);
  expect(json.stderr, `${line} printed on stderr in JSON mode`).toBe('');
  expect(Buffer.byteLength(json.stdout)).toBeLessThan(4096);
  expect(json.stdout.trimEnd()).not.toContain('\n');
  const envelope = JSON.parse(json.stdout) as Failure;
  expect(envelope.ok).toBe(false);
  expect(Object.keys(envelope.error)).toEqual(expect.arrayContaining(['code', 'message', 'next']));
  expect(['code', 'message', 'hint', 'next']).toEqual(expect.arrayContaining(Object.keys(envelope.error)));
  for (const next of envelope.error.next) await exists(next);
  return envelope;
}

const existing = new Set<string>();

/** A suggested command is one that there is: its words resolve, and its help can be shown. */
async function exists(next: string): Promise<void> {
  if (existing.has(next)) return;
  existing.add(next);
  expect(next.startsWith('systemprompt ')).toBe(true);
  const words = next.slice('systemprompt '.length).split(' ');
  expect(['command', 'help']).toContain(resolveCommand(words, ids).kind);
  const { code } = await run([...words.filter((word) => !word.startsWith('<')), '--help']);
  expect(code, `${next} --help`).toBe(0);
}

describe.each(commands.map((command) => [spoken(command).join(' '), command] as const))('%s', (_name, command) => {
  const words = spoken(command);

  it('declares what it does, who may run it, and how it is used', () => {
    expect(['read', 'write', 'destructive']).toContain(command.declaration?.effect);
    expect(permissions).toContain(command.declaration?.permission);
    expect(['none', 'profile', 'database', 'supervisor', 'api']).toContain(command.declaration?.needs);
    // Imperative, one line of the root help, no full stop.
    expect(command.summary).toMatch(/^[A-Z][a-z]+ .*[^.]$/);
    expect(command.summary?.length).toBeLessThanOrEqual(54);
    expect(command.examples?.length).toBeGreaterThan(0);
    for (const flag of Object.values(command.flags)) expect(flag.summary, `--${flag.name}`).toMatch(/^[A-Z].*[^.]$/);
    for (const arg of Object.values(command.args)) expect(arg.description).toMatch(/^[A-Z].*[^.]$/);
    if (command.declaration?.effect === 'destructive') expect(command.flags).toHaveProperty('yes');
  });

  it('shows examples that name itself', () => {
    for (const example of command.examples ?? []) {
      expect(example).toContain(`<%= config.bin %> ${words.join(' ')}`);
    }
  });

  it('shows its help, as text and as an artifact', async () => {
    const text = await run([...words, '--help']);
    expect(text).toMatchObject({ code: 0, stderr: '' });
    expect(text.stdout).toContain(command.summary);
    const json = await run([...words, '--help', '--json']);
    expect(JSON.parse(json.stdout)).toEqual({ ok: true, artifact: { type: 'text', content: text.stdout.trimEnd() } });
  });

  it('refuses a flag that it does not know, and names the nearest', async () => {
    const { error } = await fails([...words, '--jsno']);
    expect(error).toMatchObject({ code: 'USAGE', hint: expect.stringContaining('--json') });
  });

  it('refuses whatever is not a flag of its own', async () => {
    const known = Object.keys(command.flags);
    const name = fc.stringMatching(/^[a-z][a-z-]{0,30}$/).filter((flag) => !known.includes(flag) && flag !== 'help');
    const value = fc.string({ unit: 'binary', maxLength: 200 });
    await fc.assert(
      fc.asyncProperty(name, fc.option(value, { nil: undefined }), async (flag, given) => {
        const { error } = await fails([...words, given === undefined ? `--${flag}` : `--${flag}=${given}`]);
        expect(error.code).toBe('USAGE');
      }),
      { numRuns: 4 },
    );
  });

  const options = Object.values(command.flags).filter((flag) => flag.type === 'option');
  it.each(options.map((flag) => [flag.name, flag] as const))('refuses --%s without a value', async (name) => {
    expect((await fails([...words, `--${name}`])).error.code).toBe('USAGE');
  });

  const closed = options.filter(
    (flag) => flag.options !== undefined || ['port', 'lines', 'limit', 'ttl', 'timeout', 'since'].includes(flag.name),
  );
  it.each(closed.map((flag) => [flag.name]))('refuses nonsense for --%s', async (name) => {
    for (const nonsense of ['nonsense', '', '-1', '1e9', 'x'.repeat(10_000)]) {
      expect((await fails([...words, `--${name}=${nonsense}`])).error.code).toBe('USAGE');
    }
  });

  const required = Object.values(command.args).filter((arg) => arg.required === true).length;
  const tooFew = Array.from({ length: required }, (_, given) => given);
  it.each(tooFew)('asks for the arguments that it needs when %d are given', async (given) => {
    const { error } = await fails([...words, ...Array.from({ length: given }, () => 'x')]);
    expect(error).toMatchObject({ code: 'USAGE', message: expect.stringContaining('Missing') });
  });

  const variadic = Object.values(command.args).some((arg) => arg.multiple === true);
  const tooMany = variadic ? [] : [Object.keys(command.args).length + 1];
  it.each(tooMany)('refuses one argument too many: %d', async (given) => {
    const { error } = await fails([...words, ...Array.from({ length: given }, () => 'x')]);
    expect(error.code).toBe('USAGE');
  });

  const elsewhere = makesSomething.includes(command.id) ? [] : [tooFew.map(() => 'x')];
  it.each(elsewhere)('says the same in both modes where there is no instance', async (...given) => {
    const argv = [...words, ...given];
    const text = await inEmptyFolder(argv, command);
    const json = await inEmptyFolder([...argv, '--json'], command);
    expect(json.code).toBe(text.code);
    const envelope = JSON.parse(json.stdout) as Failure | { readonly ok: true };
    expect(envelope.ok).toBe(json.code === 0);
    // What needs nothing may succeed; every other command has to say that there is no instance, and what to do.
    if (envelope.ok) {
      expect(command.declaration?.needs).toBe('none');
      expect(text.stdout).not.toBe('');
      return;
    }
    expect(text.stderr).not.toBe('');
    expect(envelope.error.next.length).toBeGreaterThan(0);
    for (const next of envelope.error.next) await exists(next);
  });
});

/** These make an instance or a project, or look for what gone ones left; they have tests of their own. */
const makesSomething: readonly string[] = ['infra:services:start', 'infra:services:cleanup', 'init'];

/** Runs a line in a folder of its own; what only reads leaves nothing there. */
async function inEmptyFolder(argv: readonly string[], command: ManifestCommand): Promise<CliRun> {
  const folder = await mkdtemp(join(cwd, 'empty-'));
  const ran = await run(argv, folder);
  if (command.declaration?.effect === 'read') expect(await readdir(folder), 'left by a command that reads').toEqual([]);
  return ran;
}

/** Set by the program itself for what it starts, or for its own tests; nothing that a user sets. */
const internal = [
  'DEPTH',
  'ENVIRONMENT',
  'TOKEN_FD',
  'SERVICE',
  'BRIDGE',
  'SERVICE_INSTANCE',
  'INSTANCE',
  'IDENTITY_KEY',
  'EXTENSION',
  'SUCCESSOR',
  'SHARED_PORT',
  'PROBE_SOCKET',
  'PHASES',
  'SECRET_VARIABLES',
  'VARIABLES',
  'SECRET_ARGUMENTS',
  'LOG_LEVEL',
  'LOG_FILE',
  'LOG_MAX_FILES',
  'LOG_MAX_BYTES',
  'TOOL_RUN',
  'TRACES',
].map((name) => `SYSTEMPROMPT_${name}`);

describe('the program', () => {
  it.each([
    [['nope']],
    [['infra', 'nope']],
    [['infra', 'services', 'statsu']],
    [['infra', '--nope']],
    [['--nope']],
    [['help', 'nope']],
  ])('refuses %j', async (argv) => {
    expect((await fails(argv)).error.code).toBe('USAGE');
  });

  it('refuses what nobody would type', async () => {
    const word = fc
      .string({ unit: 'binary', maxLength: 2000 })
      .filter((text) => !text.includes('\0') && !text.startsWith('-'));
    await fc.assert(
      fc.asyncProperty(
        word.filter((text) => !ids.some((id) => id === text || id.startsWith(`${text}:`))),
        async (text) => {
          expect((await fails([text])).error.code).toBe('USAGE');
        },
      ),
      { numRuns: 30 },
    );
  });

  it('changes configuration on the machine itself alone: it names the programs that are run, and who may call them', () => {
    // `schema` writes for editors.
    const writing = commands.filter(
      ({ id, declaration }) => /^(admin:config:(?!schema)|cloud:profile:)/.test(id) && declaration?.effect !== 'read',
    );
    expect(writing.length).toBeGreaterThan(10);
    expect(writing.filter(({ declaration }) => declaration?.localOnly !== true).map(({ id }) => id)).toEqual([]);
  });

  it('has the commands that are on record', async () => {
    const tree = commandTree(commands);
    // After a wanted change: UPDATE_GOLDEN=1 npx vitest run test/entry/cli/every-command
    if (process.env.UPDATE_GOLDEN === '1') await writeFile(golden, tree);
    expect(tree).toBe(await readFile(golden, 'utf8'));
    expect(commands.length).toBeGreaterThan(15);
  });

  it('says what each topic is about', async () => {
    const { oclif } = JSON.parse(await readFile(join(packageRoot, 'package.json'), 'utf8'));
    const topics = new Set(
      ids.flatMap((id) =>
        id
          .split(':')
          .slice(0, -1)
          .map((_, end, all) => all.slice(0, end + 1).join(':')),
      ),
    );
    for (const topic of topics) expect(oclif.topics, topic).toHaveProperty([topic, 'description']);
  });

  it('tells every variable that the sources read', () => {
    const files = globSync(['src/**/*.{ts,tsx}', 'bin/*.js'], { cwd: packageRoot });
    const read = new Set(
      files.flatMap((file) => readFileSync(join(packageRoot, file), 'utf8').match(/\bSYSTEMPROMPT_[A-Z_]+\b/g) ?? []),
    );
    const told = new Set(environment.map(({ name }) => name));
    const missing = [...read].filter((name) => !told.has(name) && !internal.includes(name));
    expect(missing, 'add to src/entry/cli/environment.ts, or here when no user sets it').toEqual([]);
  });
});
