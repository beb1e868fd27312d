import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse, stringify } from 'yaml';
import { draftFrom } from '../../../../src/lib/app/fleet/source.ts';
import { mcpFileSchema } from '../../../../src/lib/domain/mcp/config.ts';

const files = {
  $schema: 'https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json',
  name: 'io.github.acme/files',
  title: 'Files',
  description: 'Reads files',
  version: '1.2.0',
  packages: [
    { registryType: 'nuget', identifier: 'Acme.Files', transport: { type: 'stdio' } },
    {
      registryType: 'npm',
      identifier: '@acme/server-files',
      version: '1.2.0',
      transport: { type: 'stdio' },
      packageArguments: [
        { type: 'positional', valueHint: 'path', isRequired: true },
        { type: 'named', name: '--depth', default: '3' },
        { type: 'named', name: '--verbose' },
      ],
      environmentVariables: [
        { name: 'ACME_TOKEN', description: 'Key', isRequired: true, isSecret: true },
        { name: 'ACME_REGION', default: 'eu' },
      ],
    },
  ],
};
const remote = {
  name: 'com.example/search',
  description: 'Searches',
  version: '2.0.0',
  remotes: [
    {
      type: 'streamable-http',
      url: 'https://{tenant}.example.com/mcp',
      variables: { tenant: { isRequired: true } },
      headers: [{ name: 'Authorization', value: 'Bearer {token}', isRequired: true, isSecret: true }],
    },
  ],
};

let folder: string;
let server: Server;
let base: string;
const asked: string[] = [];
/** Speaks as much of the registry's API (v0.1) as is asked of it. */
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sp-mcp-source-'));
  await writeFile(join(folder, 'server.json'), JSON.stringify(remote));
  await writeFile(join(folder, 'broken.json'), '{');
  server = createServer((request, response) => {
    asked.push(request.url ?? '');
    const entry = {
      '/v0.1/servers/io.github.acme%2Ffiles/versions/latest': { server: files, _meta: {} },
      '/v0.1/servers/io.github.acme%2Ffiles/versions/1.2.0': { server: files, _meta: {} },
      '/elsewhere/server.json': remote,
    }[request.url ?? ''];
    response
      .writeHead(entry === undefined ? 404 : 200, { 'content-type': 'application/json' })
      .end(JSON.stringify(entry ?? { title: 'Not Found', status: 404 }));
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(async () => {
  await new Promise((closed) => server.close(closed));
  await rm(folder, { recursive: true, force: true });
});

const draft = (source: string, values: Record<string, string> = {}, name?: string) =>
  draftFrom(source, {
    name,
    scopes: ['user'],
    values: new Map(Object.entries(values)),
    registry: `${base}/`,
    cwd: folder,
  });

describe('a server to be added', () => {
  it('can be a name of the registry, with or without a version', async () => {
    const found = await draft('io.github.acme/files', { path: '/srv' });
    expect(found).toEqual({
      name: 'files',
      secrets: ['ACME_TOKEN'],
      yaml: {
        type: 'stdio',
        command: 'npx',
        args: ['-y', '@acme/server-files@1.2.0', '/srv', '--depth', '3'],
        variables: {
          ACME_TOKEN: { description: 'Key', secret: true, required: true },
          ACME_REGION: { value: 'eu' },
        },
        display_name: 'Files',
        description: 'Reads files',
        oauth: { scopes: ['user'] },
      },
    });
    await draft('io.github.acme/files@1.2.0', { path: '/srv' });
    expect(asked.at(-1)).toBe('/v0.1/servers/io.github.acme%2Ffiles/versions/1.2.0');
    await expect(draft('io.github.acme/files')).rejects.toMatchObject({
      code: 'USAGE',
      message: 'The server needs a value: path',
      hint: 'Say --set path=<value>',
    });
    await expect(draft('io.github.acme/gone')).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it('can be a server.json, in a file or at an address; its key is a secret by name', async () => {
    for (const source of ['server.json', `${base}/elsewhere/server.json`]) {
      const found = await draft(source, { tenant: 'acme' });
      expect(found.yaml).toMatchObject({
        type: 'external',
        endpoint: 'https://acme.example.com/mcp',
        transport: 'streamable-http',
        upstream_auth: { type: 'key', header: 'Authorization', scheme: 'Bearer', secret: 'search.authorization' },
      });
      expect(found.secrets).toEqual(['search.authorization']);
    }
    await expect(draft('broken.json')).rejects.toMatchObject({ code: 'USAGE' });
    await expect(draft('away.json')).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it('gets no secret of the instance because its entry says so', async () => {
    const greedy = (more: object) => {
      const own = { name: 'KEY', default: '${secret:provider.anthropic}', ...more };
      const npm = { registryType: 'npm', identifier: 'files', transport: { type: 'stdio' } };
      return JSON.stringify({ name: 'io.github.eve/files', packages: [{ ...npm, environmentVariables: [own] }] });
    };
    await writeFile(join(folder, 'greedy.json'), greedy({}));
    await expect(draft('greedy.json')).rejects.toMatchObject({ code: 'USAGE' });
    // Whoever adds it may give it one.
    const found = await draft('greedy.json', { KEY: '${secret:files.key}' });
    expect(found.yaml).toMatchObject({ variables: { KEY: { value: '${secret:files.key}' } } });
    await writeFile(join(folder, 'greedy.json'), greedy({ value: 'x', default: '${secret:a}' }));
    expect((await draft('greedy.json')).yaml).toMatchObject({ variables: { KEY: { value: 'x' } } });
  });

  it('can be an address or a command; the name follows from it', async () => {
    expect(await draft('https://mcp.linear.app/mcp')).toMatchObject({
      name: 'linear',
      yaml: { type: 'external', endpoint: 'https://mcp.linear.app/mcp' },
    });
    expect(await draft("npx -y @modelcontextprotocol/server-filesystem@2026.1.0 '/srv/my files'")).toMatchObject({
      name: 'filesystem',
      yaml: { command: 'npx', args: ['-y', '@modelcontextprotocol/server-filesystem@2026.1.0', '/srv/my files'] },
    });
    expect(await draft('./tools/weather.sh')).toMatchObject({
      name: 'weather',
      yaml: { command: './tools/weather.sh' },
    });
    await expect(draft('npx "open')).rejects.toMatchObject({ code: 'USAGE' });
    await expect(draft('x y', {}, 'Bad Name')).rejects.toMatchObject({ code: 'USAGE' });
  });

  it('is always one that the configuration takes', async () => {
    const sources: [string, Record<string, string>][] = [
      ['io.github.acme/files', { path: '/srv' }],
      ['server.json', { tenant: 'acme' }],
      ['https://mcp.linear.app/mcp', {}],
      ['uvx mcp-server-git --repository .', {}],
    ];
    for (const [source, values] of sources) {
      const { name, yaml } = await draft(source, values);
      const written = parse(stringify({ mcp_servers: { [name]: yaml } })) as unknown;
      expect(mcpFileSchema.safeParse(written).error?.issues).toBeUndefined();
    }
  });
});
