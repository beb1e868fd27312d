import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type CliLoop, openCliLoop } from '../helpers/cli.ts';
import { type ConfigProject, configProject } from '../helpers/config-project.ts';

let project: ConfigProject;
let loop: CliLoop;
beforeAll(async () => {
  project = await configProject({
    'services/mcp/own.yaml':
      '# kept\nmcp_servers:\n  far:\n    type: external\n    endpoint: https://mcp.example.com/mcp\n    description: Far away\n    oauth: { scopes: [user], audience: mcp }\n',
    'server.json': JSON.stringify({
      name: 'io.github.acme/files',
      description: 'Reads files',
      version: '1.0.0',
      packages: [
        {
          registryType: 'npm',
          identifier: '@acme/files',
          version: '1.0.0',
          transport: { type: 'stdio' },
          environmentVariables: [{ name: 'ACME_TOKEN', isRequired: true, isSecret: true }],
        },
      ],
    }),
  });
  loop = openCliLoop();
});
afterAll(async () => {
  await loop[Symbol.asyncDispose]();
  await project[Symbol.asyncDispose]();
});

async function cli(...args: string[]) {
  const run = await loop.run({ argv: ['plugins', 'mcp', ...args, '--json'], cwd: project.path });
  const { artifact = {} } = JSON.parse(run.stdout.trim() === '' ? run.stderr : run.stdout) as { artifact?: object };
  return { code: run.code, out: artifact as Record<string, unknown> };
}
const file = (name: string) => readFile(join(project.path, 'services/mcp', name), 'utf8');

it('a server is added, listed, shown, checked and taken out again, by its file alone', async () => {
  const dry = await cli('add', 'cat -u', '--name', 'echo', '--dry-run');
  expect(dry).toMatchObject({ code: 0 });
  await expect(file('echo.yaml')).rejects.toThrow();

  expect((await cli('add', 'cat -u', '--name', 'echo')).code).toBe(0);
  expect(await file('echo.yaml')).toMatch(/echo:\n {4}type: stdio\n {4}command: cat\n/);
  expect((await cli('add', 'cat', '--name', 'echo')).code).not.toBe(0);

  const added = await cli('add', 'server.json');
  expect(added.out).toMatchObject({ data: { server: 'files', missing_secrets: ['ACME_TOKEN'] } });
  expect(await file('files.yaml')).toContain('enabled: false');

  const list = (await cli('list')).out['items'] as Record<string, unknown>[];
  expect(list.map(({ name, kind, state }) => [name, kind, state])).toEqual([
    ['echo', 'stdio', 'not running'],
    ['far', 'external', 'not running'],
    ['files', 'stdio', 'disabled'],
  ]);
  expect((await cli('show', 'files')).out).toMatchObject({
    data: { variables: [{ name: 'ACME_TOKEN', required: true, secret: true, from: 'instance' }] },
  });

  const one = await cli('validate', 'echo');
  expect(one).toMatchObject({ code: 0, out: { data: { valid: true, servers: ['echo'], findings: [] } } });
  const enabled = await cli('validate');
  expect(enabled).toMatchObject({ code: 0, out: { data: { servers: ['echo', 'far'], warnings: 2 } } });
  const all = await cli('validate', '--all');
  expect(all.code).toBe(6);
  expect(JSON.stringify(all.out)).toContain('the variable ACME_TOKEN, which files requires, is not set');

  expect((await cli('remove', 'echo')).code).toBe(5);
  expect((await cli('remove', 'echo', '--yes')).code).toBe(0);
  expect(((await cli('list')).out['items'] as object[]).length).toBe(2);
  expect(await file('own.yaml')).toMatch(/^# kept\n/);
  expect((await cli('remove', 'nobody', '--yes')).code).not.toBe(0);
});
