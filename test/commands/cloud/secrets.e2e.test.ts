import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { createLocalInstance, type Instance } from '../../../src/lib/infra/config/instance.ts';
import { openSecretStore } from '../../../src/lib/infra/config/secrets.ts';
import { type CliRun, runCli } from '../../helpers/cli.ts';
import { runInTerminal } from '../../helpers/pseudo-terminal.ts';
import { type TemporaryFolder, temporaryFolder } from '../../helpers/temporary-folder.ts';

const canary = 'canary-9ab1-hunter2';

let folder: TemporaryFolder;
let instance: Instance;
beforeAll(async () => {
  folder = await temporaryFolder();
  instance = await createLocalInstance(folder.path, {});
  await mkdir(join(folder.path, 'services/mcp'), { recursive: true });
  const server = (name: string, port: number, env: string) =>
    `  ${name}: { module: x.js, port: ${port}, description: A server, oauth: { scopes: [user] }, env: { ${env} } }\n`;
  await writeFile(
    join(folder.path, 'services/mcp/x.yaml'),
    `mcp_servers:\n${server('one', 5001, 'KEY: "${secret:API_KEY}"')}${server('two', 5002, 'KEY: "${secret:API_KEY}"')}`,
  );
  return () => folder[Symbol.asyncDispose]();
});

/** Runs the CLI with what comes on standard input; by default nothing does. */
async function secrets(
  argv: readonly string[],
  given: { readonly input?: string; readonly env?: Record<string, string> } = {},
): Promise<CliRun> {
  const env = { SYSTEMPROMPT_INVOKED_AS: 'systemprompt', ...given.env };
  const run = await runCli(['cloud', 'secrets', ...argv], { cwd: folder.path, ...given, env });
  if (argv[0] !== 'reveal') expect(JSON.stringify(run)).not.toContain('hunter2');
  return run;
}

async function value(name: string): Promise<string | undefined> {
  return (await openSecretStore(instance)).get(name);
}

describe('cloud secrets set', () => {
  it('takes the value from standard input, without the line break behind it', async () => {
    const run = await secrets(['set', 'API_KEY'], { input: `${canary}\n` });
    expect(run).toMatchObject({ code: 0, stderr: '' });
    expect(run.stdout).toBe(
      'Set API_KEY (version 1)\nUsed by mcp:one (KEY), mcp:two (KEY)\nNothing is running: it holds from the next start on\n',
    );
    expect(await value('API_KEY')).toBe(canary);
    const again = await secrets(['set', 'API_KEY', '--json'], { input: canary });
    expect(JSON.parse(again.stdout)).toMatchObject({
      artifact: { data: { changes: [{ name: 'API_KEY', version: 1, outcome: 'unchanged' }] } },
    });
  });

  it('is on record also where the logs were cleared away, folder and all', async () => {
    await rm(instance.logsDir, { recursive: true });
    expect(await secrets(['set', 'CLEARED', '--from-env', 'X'], { env: { X: canary } })).toMatchObject({ code: 0 });
    expect(await readFile(join(instance.logsDir, 'secrets.log'), 'utf8')).toContain('"secret":"CLEARED"');
  });

  it('takes it from a file or a variable, and for one server alone', async () => {
    const file = join(folder.path, 'tls.pem');
    await writeFile(file, 'BEGIN hunter2\nEND\n');
    expect((await secrets(['set', 'TLS', '--from-file', file])).code).toBe(0);
    expect(await value('TLS')).toBe('BEGIN hunter2\nEND\n');
    const run = await secrets(['set', 'API_KEY', '--server', 'two', '--from-env', 'X'], {
      env: { X: `${canary} two` },
    });
    expect(run.stdout).toContain('Set mcp.two.API_KEY (version 1)\nUsed by mcp:two (KEY)\n');
    expect(await value('mcp.two.API_KEY')).toBe(`${canary} two`);
  });

  it.each([[['set', `NAME=${canary}`]], [['set', 'NAME', canary]], [['set', 'NAME', canary, canary]]])(
    'refuses a value in the arguments and does not repeat it: %#',
    async (argv) => {
      const run = await secrets(argv);
      expect(run).toMatchObject({ code: 2, stdout: '' });
      expect(run.stderr).toContain('A value does not belong on the command line');
      expect(await value('NAME')).toBeUndefined();
    },
  );

  it('where nobody can be asked it says how to give the value', async () => {
    const run = await secrets(['set', 'NAME', '--json']);
    expect(run.code).toBe(5);
    expect(JSON.parse(run.stdout)).toMatchObject({
      error: { code: 'ANSWER_NEEDED', hint: expect.stringContaining('--from-file') },
    });
    expect((await secrets(['set', 'NAME'], { input: '' })).code).toBe(5);
  });

  it.each([
    ['a secret of the system', ['database.owner'], 'x', 'is a secret of the system itself'],
    ['a wrong name', ['a/b'], 'x', 'That is no name for a secret'],
    ['a wrong server', ['A', '--server', 'A B'], 'x', 'That is no name for a server'],
    ['a NUL', ['A'], 'hunter2\0', 'holds a NUL character'],
  ])('refuses %s', async (_, argv, input, message) => {
    const run = await secrets(['set', ...argv], { input });
    expect(run).toMatchObject({ code: 2, stdout: '', stderr: expect.stringContaining(message) });
  });
});

describe('cloud secrets import', () => {
  it('sets all or none, and with --dry-run says what it would', async () => {
    const file = join(folder.path, 'values.env');
    await writeFile(file, `ONE=${canary}\nexport TWO="${canary} two" # said\n`);
    const dry = await secrets(['import', file, '--dry-run', '--json']);
    const items = [
      { name: 'ONE', version: 1, outcome: 'created' },
      { name: 'TWO', version: 1, outcome: 'created' },
    ];
    expect(JSON.parse(dry.stdout)).toMatchObject({ artifact: { items } });
    expect(await value('ONE')).toBeUndefined();
    await writeFile(file, `ONE=${canary}\n${canary}\nTWO="${canary}`);
    const broken = await secrets(['import', file]);
    expect(broken).toMatchObject({ code: 6, stdout: '' });
    expect(broken.stderr).toContain('values.env:2:1');
    expect(broken.stderr).toContain('values.env:3:1');
    expect(await value('ONE')).toBeUndefined();
    const piped = await secrets(['import', '-', '--server', 'one'], { input: `{"ONE": "${canary}"}` });
    expect(piped.code).toBe(0);
    expect(await value('mcp.one.ONE')).toBe(canary);
    expect((await secrets(['import', join(folder.path, 'nothing.env')])).code).toBe(3);
  });
});

describe('at a terminal', () => {
  it('the value is asked for and not shown, and before one is shown the user is asked', async () => {
    const asked = runInTerminal(['cloud', 'secrets', 'set', 'TYPED'], { cwd: folder.path });
    await asked.shows('Value of TYPED');
    asked.type(`${canary}\r`);
    expect(await asked.ended()).toBe(0);
    expect(asked.text).toContain('Set TYPED (version 1)');
    expect(asked.text).not.toContain('hunter2');
    expect(await value('TYPED')).toBe(canary);
    const reveal = async (answer: string): Promise<string> => {
      const shown = runInTerminal(['cloud', 'secrets', 'reveal', 'TYPED'], { cwd: folder.path });
      await shown.shows('Print the value of TYPED?');
      shown.type(answer);
      await shown.ended();
      return shown.text;
    };
    expect(await reveal('n')).not.toContain('hunter2');
    expect(await reveal('y')).toContain(canary);
  });
});

describe('cloud secrets list, reveal, unset', () => {
  it('lists names, versions and who uses them, and no value', async () => {
    const { stdout } = await secrets(['list', '--json']);
    const { artifact } = JSON.parse(stdout) as { artifact: { items: Record<string, unknown>[] } };
    const byName = new Map(artifact.items.map((item) => [item['name'], item]));
    expect(byName.get('API_KEY')).toMatchObject({ version: 1, kept: 1, used_by: 'mcp:one (KEY)', server: null });
    expect(byName.get('mcp.two.API_KEY')).toMatchObject({ server: 'two', used_by: 'mcp:two (KEY)' });
    expect(byName.get('database.owner')).toMatchObject({ used_by: 'the system' });
    expect(byName.get('API_KEY')?.['by']).toEqual(expect.any(String));
    expect((await secrets(['list', '--server', 'two'])).stdout).not.toContain('database.owner');
  });

  it('reveals a value only when that is confirmed, and writes down that it did', async () => {
    expect(await secrets(['reveal', 'API_KEY'])).toMatchObject({ code: 5, stdout: '' });
    expect(await secrets(['reveal', 'API_KEY', '--yes'])).toMatchObject({ code: 0, stdout: `${canary}\n` });
    expect(await secrets(['reveal', 'API_KEY', '--yes', '--version', '9'])).toMatchObject({ code: 3, stdout: '' });
    const unknown = await secrets(['reveal', 'API_KYE', '--yes']);
    expect(unknown).toMatchObject({ code: 3, stderr: expect.stringContaining('Did you mean API_KEY?') });
    const journal = await readFile(join(instance.logsDir, 'secrets.log'), 'utf8');
    const lines = journal
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(lines.filter(({ msg }) => msg === 'revealed')).toMatchObject([
      { secret: 'TYPED', version: 1 },
      { secret: 'API_KEY', version: 1 },
    ]);
    expect(journal).not.toContain('hunter2');
    // A value is printed as it is, so that what is written to a file is the same file again.
    expect((await secrets(['reveal', 'TLS', '--yes'])).stdout).toBe('BEGIN hunter2\nEND\n');
  });

  it('erases with all versions, when that is confirmed', async () => {
    expect((await secrets(['unset', 'API_KEY'])).code).toBe(5);
    expect((await secrets(['unset', 'API_KEY', 'NEVER', '--yes'])).code).toBe(3);
    expect((await secrets(['unset', 'identity.root', '--yes'])).code).toBe(2);
    const run = await secrets(['unset', 'API_KEY', '--yes']);
    expect(run).toMatchObject({ code: 0, stdout: expect.stringContaining('Still asked for by mcp:one (KEY)') });
    expect(await value('API_KEY')).toBeUndefined();
    expect((await secrets(['list'])).stdout).toContain('API_KEY is asked for and not set.');
  });
});
