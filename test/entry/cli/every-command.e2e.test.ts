import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { resolveCommand } from '../../../src/entry/cli/resolve.ts';
import { permissions } from '../../../src/lib/shared/permission.ts';
import { type CliLoop, type CliRun, openCliLoop, packageRoot } from '../../helpers/cli.ts';

interface ManifestFlag {
  readonly name: string;
  readonly type: 'boolean' | 'option';
  readonly summary?: string;
  readonly options?: readonly string[];
  readonly multiple?: boolean;
  readonly helpGroup?: string;
}
interface ManifestCommand {
  readonly id: string;
  readonly summary?: string;
  readonly examples?: readonly string[];
  readonly args: Readonly<
    Record<string, { readonly required?: boolean; readonly multiple?: boolean; readonly description?: string }>
  >;
  readonly flags: Readonly<Record<string, ManifestFlag>>;
  readonly declaration?: { readonly effect: string; readonly permission: string; readonly needs: string };
}

const manifest = JSON.parse(await readFile(join(packageRoot, 'oclif.manifest.json'), 'utf8')) as {
  commands: Record<string, ManifestCommand>;
};
const commands = Object.values(manifest.commands);
const ids = commands.map((command) => command.id);

const spoken = (command: ManifestCommand): string[] => command.id.split(':');

let loop: CliLoop;
let cwd: string;

beforeAll(async () => {
  loop = openCliLoop();
  cwd = await mkdtemp(join(tmpdir(), 'systemprompt-cli-'));
});
afterAll(async () => {
  await loop[Symbol.asyncDispose]();
  await rm(cwd, { recursive: true, force: true });
});

const run = (argv: readonly string[]): Promise<CliRun> => loop.run({ argv, cwd });

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

/** A suggested command is one that there is: its words resolve, and its help can be shown. */
async function exists(next: string): Promise<void> {
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
      { numRuns: 8 },
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

  // `start` would make an instance, `cleanup` looks for what gone ones left; every other command has to say that there is none.
  const elsewhere = ['infra:services:start', 'infra:services:cleanup'].includes(command.id)
    ? []
    : [[...words, ...tooFew.map(() => 'x')]];
  it.each(elsewhere)('says the same in both modes where there is no instance', async (...argv) => {
    const { error } = await envelopeOf(argv);
    expect(error.next.length).toBeGreaterThan(0);
  });
});

/** The failure of a line that may also print a result on stdout in text mode, as `doctor` does. */
async function envelopeOf(argv: readonly string[]): Promise<Failure> {
  const text = await run(argv);
  const json = await run([...argv, '--json']);
  expect(json.code).toBe(text.code);
  expect(text.stderr).not.toBe('');
  const envelope = JSON.parse(json.stdout) as Failure;
  expect(envelope.ok).toBe(false);
  for (const next of envelope.error.next) await exists(next);
  return envelope;
}

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

  it('has a manifest in which each command names its module', () => {
    expect(commands.length).toBeGreaterThan(15);
  });
});
