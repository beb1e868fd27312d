import { basename } from 'node:path';
import { expect, it } from 'vitest';
import { loadServices } from '../../../../src/lib/app/config/load-services.ts';
import { ConfigInvalidError } from '../../../../src/lib/shared/errors.ts';
import { configProject, serverYaml } from '../../../helpers/config-project.ts';

const own = `    hooks:
      - { type: deny, tools: '(', reason: no }
      - { type: quota, limit: 0, per_seconds: 60 }
      - { type: http, url: 'http://localhost/hook', key: plain }
      - { type: magic }
      - { type: deny, arguments: { path: '[' } }
`;
const global = `settings:
  tool_hooks:
    - { type: schema, name: one, schema: { type: nonsense } }
    - { type: schema, name: one, schema: { type: object, required: [a] } }
`;

it('each mistake in a rule has its place', async () => {
  await using project = await configProject({
    'services/mcp/files.yaml': serverYaml('files', 5001, own),
    'services/config/config.yaml': global,
  });
  const error: unknown = await loadServices(project.instance).catch((thrown: unknown) => thrown);
  if (!(error instanceof ConfigInvalidError)) throw error;
  const places = error.issues.map(({ file, line }) => `${basename(file)}:${line}`);
  for (const line of [9, 10, 11, 12, 13]) expect(places, error.message).toContain(`files.yaml:${line}`);
});

it('a schema that is none and a name that is there twice are told when the fields are right', async () => {
  await using project = await configProject({ 'services/config/config.yaml': global });
  const error: unknown = await loadServices(project.instance).catch((thrown: unknown) => thrown);
  if (!(error instanceof ConfigInvalidError)) throw error;
  expect(error.issues.map(({ line, message }) => `${line} ${message}`)).toEqual([
    expect.stringMatching(/^3 is no JSON Schema/),
    expect.stringMatching(/^4 the name is also in .*config\.yaml:3:23$/),
  ]);
});

it('rules reach the server that they are written for, in their order', async () => {
  const rules = '    hooks:\n      - { type: deny, tools: drop }\n      - { type: secrets, on: [output] }\n';
  await using project = await configProject({ 'services/mcp/files.yaml': serverYaml('files', 5001, rules) });
  const { mcpServers, settings } = await loadServices(project.instance);
  expect(mcpServers[0]?.hooks?.map(({ type }) => type)).toEqual(['deny', 'secrets']);
  expect(settings.tool_hooks).toEqual([]);
});

it('a hook of an extension names a server of ours', async () => {
  const hooks = ['files', 'absent', 'remote'].map(
    (name) => `      - { type: extension, extension: ${name}, hook: watch }\n`,
  );
  const remote = `mcp_servers:
  remote:
    type: external
    endpoint: https://mcp.example.com/mcp
    description: A server
    oauth: { scopes: [user] }
`;
  await using project = await configProject({
    'services/mcp/files.yaml': serverYaml('files', 5001, `    hooks:\n${hooks.join('')}`),
    'services/mcp/remote.yaml': remote,
  });
  const error: unknown = await loadServices(project.instance).catch((thrown: unknown) => thrown);
  if (!(error instanceof ConfigInvalidError)) throw error;
  const found = error.issues.filter(({ file }) => file.endsWith('files.yaml')).map(({ message }) => message);
  expect(found).toEqual(['is no MCP server', 'is no server that is built with defineMcpServer']);
});
