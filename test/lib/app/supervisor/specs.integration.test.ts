import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { type Configuration, readConfiguration } from '../../../../src/lib/app/supervisor/configuration.ts';
import { serviceSpecs } from '../../../../src/lib/app/supervisor/specs.ts';
import { createLocalInstance, type Instance } from '../../../../src/lib/infra/config/instance.ts';
import { openSecretStore } from '../../../../src/lib/infra/config/secrets.ts';
import type { ServiceSpec } from '../../../../src/lib/infra/process/spec.ts';

const services =
  'mcp_servers:\n  x:\n    module: x.js\n    port: 5001\n    description: a server\n    oauth: {required: true, scopes: [user]}\n';

let root: string;
let instance: Instance;
beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), 'sp-specs-'));
  instance = { ...(await createLocalInstance(root)), servicesDir: join(root, 'services') };
  for (const name of ['api', 'mcp', 'bridge']) put(join('dist', 'entry', name, 'main.js'), '');
  put(join('services', 'mcp', 'x.yaml'), services);
});
afterEach(() => {
  for (const folder of [root, instance.runtimeDir]) rmSync(folder, { recursive: true, force: true });
});

function put(path: string, text: string): void {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text);
}

async function specs(): Promise<ServiceSpec[]> {
  const configuration: Configuration = await readConfiguration(instance, 'local');
  return serviceSpecs(
    { ...configuration, instance, secrets: await openSecretStore(instance), packageRoot: root, env: {} },
    [],
  );
}

it('a module that does not exist fails the validation with its path and its place', async () => {
  await expect(specs()).rejects.toMatchObject({
    code: 'CONFIG_INVALID',
    issues: [{ file: expect.stringContaining('x.yaml'), line: 3, message: 'the module x.js of x does not exist' }],
  });
});

it('a module that has gone since fails the next start, with its path and without another try', async () => {
  put('x.js', '');
  const found = (await specs()).find(({ name }) => name === 'mcp:x');
  await expect(found?.prepare?.(AbortSignal.abort())).resolves.toBeUndefined();
  rmSync(join(root, 'x.js'));
  await expect(found?.prepare?.(AbortSignal.abort())).rejects.toMatchObject({
    code: 'PRECONDITION',
    message: `what it runs, ${join(root, 'x.js')}, does not exist`,
  });
});

const twoServers = `mcp_servers:
  x:
    module: x.js
    port: 5001
    description: a server
    oauth: {scopes: [user]}
    env: { PLAIN: 'as it is', SHARED: '\${secret:SHARED}' }
    variables:
      API_KEY: { secret: true, required: true }
      REGION: { default: north }
      NOTHING: { description: not set anywhere }
  y:
    module: x.js
    port: 5002
    description: a server
    oauth: {scopes: [user]}
    variables: { API_KEY: { value: '\${secret:SHARED}', required: true } }
`;

async function hashes(): Promise<Record<string, string>> {
  return Object.fromEntries((await specs()).map(({ name, configHash }) => [name, configHash]));
}

it('every secret that is missing fails the validation, with its place and the command that sets it', async () => {
  put('x.js', '');
  put(join('services', 'mcp', 'x.yaml'), twoServers);
  await expect(specs()).rejects.toMatchObject({
    code: 'CONFIG_INVALID',
    issues: [
      {
        file: expect.stringContaining('x.yaml'),
        line: 7,
        column: 31,
        message: 'SHARED of x asks for the secret SHARED, which is not set',
        hint: 'set it: cloud secrets set SHARED --server x',
        next: 'cloud secrets set SHARED --server x',
      },
      {
        file: expect.stringContaining('x.yaml'),
        line: 9,
        column: 7,
        message: 'the variable API_KEY, which x requires, is not set',
        hint: 'set it: cloud secrets set API_KEY --server x',
        next: 'cloud secrets set API_KEY --server x',
      },
      { line: 17, message: 'the variable API_KEY, which y requires, is not set' },
    ],
    next: [
      'cloud secrets set SHARED --server x',
      'cloud secrets set API_KEY --server x',
      'cloud secrets set SHARED --server y',
    ],
  });
});

it('a changed secret changes the digest of the servers that get it, and of nothing else', async () => {
  put('x.js', '');
  put(join('services', 'mcp', 'x.yaml'), twoServers);
  const secrets = await openSecretStore(instance);
  await secrets.setMany(
    new Map([
      ['SHARED', 'one'],
      ['API_KEY', 'key'],
    ]),
  );
  const first = await hashes();
  expect(await hashes()).toEqual(first);
  await secrets.set('mcp.x.API_KEY', 'key'); // the same value, from another place
  expect(await hashes()).toEqual(first);
  await secrets.set('mcp.x.API_KEY', 'own');
  const second = await hashes();
  expect({ ...second, 'mcp:x': '' }).toEqual({ ...first, 'mcp:x': '' });
  expect(second['mcp:x']).not.toBe(first['mcp:x']);
  await secrets.set('SHARED', 'two');
  const third = await hashes();
  expect(third['mcp:x']).not.toBe(second['mcp:x']);
  expect(third['mcp:y']).not.toBe(second['mcp:y']);
  expect(third['api']).toBe(second['api']);
  await secrets.set('mcp.y.API_KEY', 'nobody asks for it'); // y asks for another name
  expect(await hashes()).toEqual(third);
});

it('what the system made for itself counts once it was replaced', async () => {
  put('x.js', '');
  const secrets = await openSecretStore(instance);
  const first = await hashes();
  await secrets.set('database.mcp.x', 'made at the first start');
  expect(await hashes()).toEqual(first);
  await secrets.set('database.mcp.x', 'replaced');
  const second = await hashes();
  expect(second['mcp:x']).not.toBe(first['mcp:x']);
  expect(second['api']).toBe(first['api']);
});

it('a module of which only the sources are there is said to be unbuilt, and how it is built', async () => {
  put('services/mcp/x.yaml', services.replace('x.js', 'extensions/x'));
  put('extensions/x/index.ts', '');
  await expect(specs()).rejects.toMatchObject({
    issues: [{ line: 3, hint: 'it has not been built: run `systemprompt build mcp`' }],
    next: ['build mcp'],
  });
  put('dist/extensions/x/index.js', '');
  expect((await specs()).map(({ name }) => name)).toContain('mcp:x');
});

it('a server is replaced when what it is run for changes; what is for people changes no process', async () => {
  put('x.js', '');
  const hashesWith = async (text: string) => {
    put(join('.systemprompt', 'profiles', 'local', 'profile.yaml'), text);
    return await hashes();
  };
  const before = await hashesWith('{}');
  expect((await hashesWith('runtime: {environment: staging}'))['mcp:x']).not.toBe(before['mcp:x']);
  const people = 'display_name: Mine\nruntime: {no_color: true, output_format: json, non_interactive: true}';
  expect(await hashesWith(people)).toEqual(before);
  const browsers = await hashesWith('server: {cors_allowed_origins: ["http://a.example"]}');
  expect(browsers['api']).not.toBe(before['api']);
  expect(browsers['mcp:x']).toBe(before['mcp:x']);
});

const bridged = `mcp_servers:
  files:
    type: stdio
    command: ./data/run
    args: [-y, some-server, /srv]
    cwd: data
    instances: user
    idle_stop_s: 60
    description: a program
    oauth: {scopes: [user]}
    env: { MODE: quiet }
    variables: { API_KEY: { value: '\${secret:SHARED}', required: true } }
  far:
    type: external
    endpoint: https://mcp.example/mcp
    description: an endpoint
    oauth: {scopes: [user]}
`;

it('a server that is none of our modules gets a bridge, which is told how to reach it, and no secret but in variables', async () => {
  put(join('services', 'mcp', 'x.yaml'), bridged);
  put(join('data', 'run'), '#!/bin/sh\n');
  chmodSync(join(root, 'data', 'run'), 0o755);
  const store = await openSecretStore(instance);
  await store.set('SHARED', 'not-for-everybody');
  await store.set('identity.root', Buffer.alloc(32, 1).toString('base64url'));
  const found = await specs();
  const files = found.find(({ name }) => name === 'mcp:files');
  const run = { instanceId: 'run-1' as Parameters<ServiceSpec['command']>[0]['instanceId'], port: 5042 };
  const command = await files?.command(run);
  expect(command?.args).toEqual(['--max-semi-space-size=8', join(root, 'dist', 'entry', 'bridge', 'main.js')]);
  expect(command?.env).toMatchObject({
    MCP_SERVICE_ID: 'files',
    MCP_PORT: '5042',
    API_KEY: 'not-for-everybody',
    MODE: 'quiet',
    SYSTEMPROMPT_SECRET_VARIABLES: 'API_KEY',
  });
  expect(command?.env['DATABASE_URL']).toBeUndefined();
  expect(JSON.parse(command?.env['SYSTEMPROMPT_BRIDGE'] ?? '')).toEqual({
    kind: 'stdio',
    command: { program: join(root, 'data', 'run'), args: ['-y', 'some-server', '/srv'], cwd: join(root, 'data') },
    process: { instances: 'user', idleStopMs: 60_000, startTimeoutMs: 30_000, userVariables: [] },
    variables: ['MODE', 'API_KEY'],
  });
  const ports = found.filter(({ kind }) => kind === 'mcp').map(({ port }) => port?.preferred);
  expect(new Set(ports).size).toBe(2);
  const before = files?.configHash;
  put(join('services', 'mcp', 'x.yaml'), bridged.replace('idle_stop_s: 60', 'idle_stop_s: 61'));
  expect((await specs()).find(({ name }) => name === 'mcp:files')?.configHash).not.toBe(before);
});
