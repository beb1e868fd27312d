import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createLocalInstance, type Instance } from '../../src/lib/infra/config/instance.ts';
import { type CliLoop, openCliLoop } from '../helpers/cli.ts';
import { runInTerminal } from '../helpers/pseudo-terminal.ts';
import { temporaryFolder } from '../helpers/temporary-folder.ts';

interface Envelope {
  readonly ok: boolean;
  readonly artifact: {
    readonly content?: string;
    readonly items?: Record<string, unknown>[];
    readonly data: Record<string, unknown>;
  };
  readonly error: { readonly code: string; readonly message: string; readonly hint?: string; readonly next: string[] };
}

let loop: CliLoop;
let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let project: Instance;

beforeAll(() => {
  loop = openCliLoop();
});
afterAll(() => loop[Symbol.asyncDispose]());
beforeEach(async () => {
  folder = await temporaryFolder();
  project = await createLocalInstance(folder.path, {});
  return async () => folder[Symbol.asyncDispose]();
});

async function run(...argv: string[]): Promise<Envelope & { code: number | null }> {
  const ran = await loop.run({ argv: ['cloud', 'profile', ...argv, '--json'], cwd: folder.path });
  expect(ran.stderr).toBe('');
  return { code: ran.code, ...(JSON.parse(ran.stdout) as Envelope) };
}
const fileOf = (name: string): string => join(project.projectDir, 'profiles', name, 'profile.yaml');
const textOf = (name: string): Promise<string> => readFile(fileOf(name), 'utf8');

describe('cloud profile create', () => {
  it('leaves one that is there as it is, and says so', async () => {
    const before = await textOf('local');
    const { code, artifact } = await run('create', 'local');
    expect(code).toBe(0);
    expect(artifact.content).toContain('is there already');
    expect(artifact.data).toMatchObject({ profile: 'local', created: false, tenant: 'local', port: 8080 });
    expect(await textOf('local')).toBe(before);
    const asked = await run('create', 'local', '--port', '9123');
    expect(asked.error).toMatchObject({ code: 'CONFLICT', message: expect.stringContaining('left as it is') });
    expect(await textOf('local')).toBe(before);
  });

  it('gives each a port of its own, on which nobody listens', async () => {
    const ports = [];
    for (const name of ['a', 'b', 'c']) ports.push((await run('create', name)).artifact.data['port']);
    expect(new Set([8080, ...ports]).size).toBe(4);
    const taken = await run('create', 'd', '--port', String(ports[0]));
    expect(taken.error).toMatchObject({
      code: 'CONFLICT',
      message: `Port ${ports[0]} is one of those that the profile \`a\` has.`,
    });
    expect((await run('create', 'd', '--port', '5100')).error.code).toBe('CONFLICT');
    const stranger = createServer().listen(Number(ports[2]) + 1, '127.0.0.1');
    await new Promise((done) => stranger.once('listening', done).once('error', done));
    expect((await run('create', 'd')).artifact.data['port']).not.toBe(Number(ports[2]) + 1);
    stranger.close();
  });

  it('keeps the file to its owner, and what it says to what is not a default', async () => {
    await run('create', 'staging');
    expect((await stat(fileOf('staging'))).mode & 0o777).toBe(0o600);
    const text = await textOf('staging');
    expect(text).toContain('environment: staging');
    expect(text).not.toContain('tenant:');
    expect(text).not.toMatch(/^ports:/m);
  });

  it('begins with another one, but for what is about its address', async () => {
    const extra = '\n# for the console\ndisplay_name: Main\nlimits:\n  body_bytes: 5000 # small\n';
    await writeFile(fileOf('local'), `${await textOf('local')}${extra}`);
    expect((await run('edit', 'local', '--set', 'server.external_url=https://a.example')).code).toBe(0);
    const { artifact } = await run('create', 'copy', '--from', 'local', '--set', 'server.workers=2');
    const text = await textOf('copy');
    expect(text).toContain('body_bytes: 5000 # small');
    expect(text).toContain('workers: 2');
    expect(text).not.toMatch(/^ *external_url: https:\/\/a\.example|^display_name/m);
    expect(artifact.data['url']).toBe(`http://localhost:${artifact.data['port']}`);
  });

  it('for the cloud listens on every interface, and needs its address', async () => {
    const lacking = await run('create', 'production', '--set', 'target=cloud');
    expect(lacking).toMatchObject({ code: 6, error: { code: 'CONFIG_INVALID' } });
    expect(lacking.error.message).toContain('server.external_url');
    const address = 'server.external_url=https://prompt.example.com';
    expect((await run('create', 'production', '--set', 'target=cloud', '--set', address)).code).toBe(0);
    const { settings } = (await run('show', 'production')).artifact.data as {
      settings: { field: string; value: string }[];
    };
    const settingOf = (field: string) => settings.find((setting) => setting.field === field)?.value;
    expect([settingOf('server.host'), settingOf('runtime.environment'), settingOf('rate_limits.enabled')]).toEqual([
      '0.0.0.0',
      'production',
      'true',
    ]);
  });

  it.each([
    [['create', 'A'], 2, 'USAGE'],
    [['create', 'x', '--tenant', 'nobody'], 3, 'NOT_FOUND'],
    [['create', 'x', '--from', 'nobody'], 3, 'NOT_FOUND'],
    [['create', 'x', '--set', 'server.prot=1'], 6, 'CONFIG_INVALID'],
    [['create', 'x', '--set', 'tenant=nobody'], 6, 'CONFIG_INVALID'],
    [['create', 'x', '--set', 'server.port'], 2, 'USAGE'],
    [['create', 'x', '--set', 'database.url=postgres://u:hunter2@h/d'], 2, 'USAGE'],
    [['create'], 5, 'ANSWER_NEEDED'],
  ])('refuses %j, and leaves nothing', async (argv, code, error) => {
    const refused = await run(...argv);
    expect([refused.code, refused.error.code]).toEqual([code, error]);
    expect(JSON.stringify(refused)).not.toContain('hunter2');
    expect(await readdir(join(project.projectDir, 'profiles'))).toEqual(['local']);
  });
});

describe('cloud profile edit', () => {
  it('changes what it is told, and nothing else', async () => {
    const before = await textOf('local');
    const origins = 'server.cors_allowed_origins=[http://localhost:5173, "https://a.example"]';
    const { artifact } = await run('edit', '--set', 'server.port=8123', '--set', origins, '--set', 'display_name=007');
    const changes = artifact.data['changes'] as { field: string }[];
    expect(changes.toSorted((a, b) => (a.field < b.field ? -1 : 1))).toEqual([
      { field: 'display_name', after: '007' },
      { field: 'server.cors_allowed_origins', after: '["http://localhost:5173","https://a.example"]' },
      { field: 'server.port', before: '8080', after: '8123' },
    ]);
    const after = await textOf('local');
    for (const line of before.split('\n')) if (!line.includes('8080')) expect(after).toContain(line);
    const undone = await run(
      'edit',
      '--unset',
      'server.cors_allowed_origins',
      '--unset',
      'display_name',
      '--set',
      'server.port=8080',
    );
    expect(undone.code).toBe(0);
    expect(await textOf('local')).toBe(before);
    expect((await run('edit', '--set', 'server.port=8080')).artifact.content).toBe('local is as it was');
  });

  it.each([
    ['server.prot=1', '`prot` is not known in `server`'],
    ['server.port=text', '`server.port`'],
    ['tenant=nobody', 'the tenant `nobody` does not exist'],
    ['ports.mcp=[9000, 9100]', 'overlaps'],
    ['name=other', "differs from the profile's folder"],
    ['server.https.certificate=c.pem', '`server.https.key` is missing'],
  ])('writes nothing when %s does not hold', async (assignment, message) => {
    const before = await textOf('local');
    const { code, error } = await run('edit', '--set', assignment);
    expect(code).toBe(6);
    expect(error.message).toContain(message);
    expect(error.message).toMatch(/profile\.yaml:\d+:\d+ /);
    expect(await textOf('local')).toBe(before);
  });

  it('loses no change of two that edit at once', async () => {
    const fields = ['limits.body_bytes=2000', 'logging.max_files=7', 'server.workers=2', 'runtime.log_level=debug'];
    await Promise.all(fields.map((field) => run('edit', '--set', field)));
    const text = await textOf('local');
    for (const field of fields) expect(text).toContain(field.split('.')[1]?.replace('=', ': '));
  });
});

describe('cloud profile', () => {
  it('use makes one the active one, for the project or for a folder', async () => {
    await run('create', 'staging');
    await run('create', 'demo');
    const active = async (cwd = folder.path) => {
      const { stdout } = await loop.run({ argv: ['cloud', 'profile', 'list', '--json'], cwd });
      const { artifact } = JSON.parse(stdout) as Envelope;
      return artifact.items?.filter((item) => item['active'] === true).map((item) => item['profile']);
    };
    expect(await active()).toEqual(['local']);
    expect((await run('use', 'staging')).code).toBe(0);
    expect(await active()).toEqual(['staging']);
    const inner = join(folder.path, 'inner');
    await mkdir(inner);
    const here = await loop.run({ argv: ['cloud', 'profile', 'use', 'demo', '--here', '--json'], cwd: inner });
    expect(here.code).toBe(0);
    expect([await active(inner), await active()]).toEqual([['demo'], ['staging']]);
    expect((await run('use', 'nobody')).error).toMatchObject({ code: 'NOT_FOUND' });
    expect((await run('use')).code).toBe(5);
  });

  it('delete removes one that is not the active one, its selection and its sign-in', async () => {
    await run('create', 'staging');
    expect((await run('delete', 'local', '--yes')).error.message).toContain('is the active one');
    expect(await run('delete', 'staging')).toMatchObject({ code: 5 });
    expect((await run('delete', 'staging', '--yes')).code).toBe(0);
    expect(await readdir(join(project.projectDir, 'profiles'))).toEqual(['local']);
    expect((await run('delete', 'staging', '--yes')).error.code).toBe('NOT_FOUND');
  });

  it('validate tells every finding of every profile', async () => {
    await run('create', 'staging');
    expect((await run('validate', '--all')).artifact.data).toEqual({ profiles: ['local', 'staging'], valid: true });
    await writeFile(fileOf('staging'), 'serv: {}\nruntime: {log_level: loud}\n');
    await writeFile(fileOf('local'), 'tenant: gone\n');
    const { code, error } = await run('validate', '--all');
    expect(code).toBe(6);
    expect(error.message.split('\n').map((line) => line.replace(/^\S+profiles\//, ''))).toEqual([
      'local/profile.yaml:1:9  the tenant `gone` does not exist  there is: local',
      'staging/profile.yaml:1:1  `serv` is not known here  did you mean `server`?',
      expect.stringContaining('staging/profile.yaml:2:22  `runtime.log_level` must be one of'),
    ]);
    const { artifact } = await run('list');
    expect(artifact.items?.map(({ profile, state }) => [profile, state])).toEqual([
      ['local', 'invalid'],
      ['staging', 'invalid'],
    ]);
  });

  it('show says each setting with its line, and no password', async () => {
    await writeFile(fileOf('local'), 'server:\n  port: 8085\ndatabase: {url: "postgres://u:hunter2@h/d"}\n');
    const { artifact } = await run('show');
    expect(artifact.data['settings']).toEqual(
      expect.arrayContaining([
        { field: 'server.port', value: '8085', origin: 'file', line: 2 },
        { field: 'server.workers', value: '1', origin: 'default' },
        { field: 'server.external_url', value: 'http://localhost:8085', origin: 'default' },
      ]),
    );
    expect(JSON.stringify(artifact)).not.toContain('hunter2');
    const edited = await run('edit', '--unset', 'database.url');
    expect(JSON.stringify(edited)).not.toContain('hunter2');
    expect(JSON.stringify(edited)).toContain('postgres://u:');
  });
});

describe('what a profile says about the command line', () => {
  const line = (argv: string[], env: Record<string, string> = {}) =>
    loop.run({ argv: ['cloud', 'profile', ...argv], cwd: folder.path, tty: true, env });

  it('holds for every command that is not told otherwise', async () => {
    expect((await line(['list'])).stdout).toContain('\u001B[');
    await run('edit', '--set', 'runtime.no_color=true', '--set', 'runtime.non_interactive=true');
    expect((await line(['list'])).stdout).not.toContain('\u001B[');
    expect(await line(['delete'])).toMatchObject({ code: 5 });
    await run('edit', '--set', 'runtime.output_format=json');
    expect(JSON.parse((await line(['list'])).stdout)).toMatchObject({ ok: true });
    const asText = await line(['list'], { SYSTEMPROMPT_OUTPUT_FORMAT: 'text' });
    expect(asText.stdout).toMatch(/^Profiles\n/);
  });

  it('holds for the profile that is meant, and not when it can not be read', async () => {
    await run('create', 'machines', '--set', 'runtime.output_format=json');
    expect((await line(['list'])).stdout).not.toContain('"ok"');
    expect((await line(['list', '--profile', 'machines'])).stdout).toContain('"ok"');
    await writeFile(fileOf('local'), 'runtime: {output_format: json, log_level: loud}\n');
    expect((await line(['list'])).stdout).not.toContain('"ok"');
  });
});

describe.runIf(process.platform === 'linux')('at a terminal', () => {
  it('asks for what is missing', async () => {
    const terminal = runInTerminal(['cloud', 'profile', 'create'], { cwd: folder.path });
    await terminal.shows('Name of the profile?');
    terminal.type('Bad\r');
    await terminal.shows('Lower-case letters');
    terminal.type('\u007F\u007F\u007Fdemo\r');
    expect(await terminal.ended()).toBe(0);
    expect(terminal.text).toContain('Created the profile demo');
    const choice = runInTerminal(['cloud', 'profile', 'use'], { cwd: folder.path });
    await choice.shows('Which profile?');
    choice.type('\r');
    expect(await choice.ended()).toBe(0);
    expect(choice.text).toContain('Commands use the profile demo');
  });

  it('opens the editor on a copy, asks again on findings, and writes what holds', async () => {
    const editor = join(folder.path, 'editor.sh');
    // The first time it makes a mistake, the second time it mends it.
    const script =
      '#!/bin/sh\nif grep -q prot: "$1"; then sed -i s/prot:/port:/ "$1"; else sed -i s/port:.*/prot:\\ 8222/ "$1"; fi\n';
    await writeFile(editor, script, { mode: 0o755 });
    const terminal = runInTerminal(['cloud', 'profile', 'edit'], {
      cwd: folder.path,
      env: { EDITOR: editor, VISUAL: '' },
    });
    await terminal.shows('Edit it again?');
    expect(terminal.text).toContain('`prot` is not known in `server`');
    expect(await textOf('local')).toContain('port: 8080');
    terminal.type('\r');
    expect(await terminal.ended()).toBe(0);
    expect(terminal.text).toContain('server.port: 8080 → 8222');
    expect(await textOf('local')).toContain('port: 8222');
    expect(await readdir(join(project.projectDir, 'profiles/local'))).toEqual(['profile.yaml']);
  });

  it('changes nothing when the editor gives up, or the person does', async () => {
    const before = await textOf('local');
    const options = { cwd: folder.path, env: { VISUAL: 'false' } };
    const failed = runInTerminal(['cloud', 'profile', 'edit'], options);
    expect(await failed.ended()).toBe(130);
    const given = runInTerminal(['cloud', 'profile', 'edit'], {
      cwd: folder.path,
      env: { VISUAL: 'sed -i s/port:.*/port:\\ x/' },
    });
    await given.shows('Edit it again?');
    given.type('n');
    expect(await given.ended()).toBe(6);
    expect(await textOf('local')).toBe(before);
    expect(await readdir(join(project.projectDir, 'profiles/local'))).toEqual(['profile.yaml']);
  });
});
