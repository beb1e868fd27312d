import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { loadServices } from '../../../../src/lib/app/config/load-services.ts';
import { ConfigInvalidError } from '../../../../src/lib/shared/errors.ts';

let services: string;

beforeEach(async () => {
  services = await mkdtemp(join(tmpdir(), 'mcp-config-'));
  await mkdir(join(services, 'mcp'));
});
afterEach(() => rm(services, { recursive: true, force: true }));

const write = (name: string, text: string) => writeFile(join(services, 'mcp', name), text);

async function issuesOf(options = {}): Promise<string[]> {
  try {
    await loadServices({ servicesDir: services }, options);
  } catch (error) {
    if (!(error instanceof ConfigInvalidError)) throw error;
    return error.issues.map(
      ({ file, line, column, message }) => `${file.split('/').at(-1)}:${line}:${column} ${message.replaceAll('`', '')}`,
    );
  }
  return [];
}

const good = `mcp_servers:
  alpha:
    module: extensions/mcp/alpha
    port: 5010
    description: First
    oauth:
      scopes: [user]
`;

describe('the MCP servers of the configuration', () => {
  it('reads the servers of all files with their defaults', async () => {
    await write('b.yaml', good.replace('alpha:', 'zeta:').replace('5010', '5011'));
    await write(
      'a.yaml',
      `${good}    tools:\n      wipe: { scopes: [admin, "tools:wipe"], timeout_ms: 1000, secret: [note] }\n    env: { LEVEL: "3" }\n    delegate: true\n`,
    );
    const [alpha, zeta] = (await loadServices({ servicesDir: services })).mcpServers;
    expect(zeta?.name).toBe('zeta');
    expect(alpha).toEqual({
      name: 'alpha',
      kind: 'internal',
      module: 'extensions/mcp/alpha',
      moduleAt: { file: expect.stringMatching(/a\.yaml$/), line: 3, column: 13 },
      port: 5010,
      enabled: true,
      devOnly: false,
      displayName: 'alpha',
      description: 'First',
      displayInWeb: true,
      delegate: true,
      oauth: { required: true, scopes: ['user'] },
      tools: new Map([['wipe', { scopes: ['admin', 'tools:wipe'], timeoutMs: 1000, secret: new Set(['note']) }]]),
      env: { LEVEL: '3' },
      variables: [],
      variablesAt: { LEVEL: { file: expect.stringMatching(/a\.yaml$/), line: 10, column: 12 } },
      inheritedEnv: [],
      limits: {},
      toolPolicy: 'auto',
      breaker: { failures: 5, cooldownMs: 10_000 },
    });
  });

  it('reads a file of the older form', async () => {
    await write(
      'old.yaml',
      `mcp_servers:
  marketplace:
    binary: "systemprompt-mcp-marketplace"
    package: "marketplace"
    port: 5050
    endpoint: "http://localhost:8080/api/v1/mcp/marketplace/mcp"
    enabled: true
    display_in_web: true
    description: "Marketplace MCP Server"
    oauth:
      required: true
      scopes: ["admin"]
      audience: "mcp"
      client_id: "only"
`,
    );
    const [server] = (await loadServices({ servicesDir: services })).mcpServers;
    expect(server).toMatchObject({
      module: 'systemprompt-mcp-marketplace',
      oauth: { scopes: ['admin'], clients: ['only'] },
    });
  });

  it('lets no token live longer than the profile says', async () => {
    await write('a.yaml', good.replace('[user]', '[user]\n      token_ttl_seconds: 900'));
    const profile = { ports: { mcp: [5000, 5999], agents: [9000, 9999] }, security: { access_token_ttl_seconds: 600 } };
    const options = { profile: profile as never };
    await expect(loadServices({ servicesDir: services }, options)).rejects.toMatchObject({
      issues: [
        { line: 8, message: '900 s is longer than the profile allows', hint: expect.stringMatching(/^write 600/) },
      ],
    });
  });

  it('knows no servers where there is no folder', async () => {
    await rm(join(services, 'mcp'), { recursive: true });
    expect((await loadServices({ servicesDir: services })).mcpServers).toEqual([]);
  });

  it('tells every fault of every file at once, each with its place', async () => {
    await write('a.yaml', good);
    await write(
      'b.yaml',
      `mcp_servers:
  Bad_Name:
    module: x
    port: 5020
    description: d
    oauth: { scopes: [user] }
  beta:
    port: 80
    description: ""
    emabled: true
    oauth:
      required: false
      scopes: []
`,
    );
    await write(
      'c.yaml',
      `${good.replace('5010', '5010 # same')}  gamma: {module: g, port: 5010, description: g, oauth: {scopes: [user]}}\n`,
    );
    await write('d.yaml', 'mcp_servers: [\n');
    const issues = await issuesOf();
    expect(issues).toEqual(
      expect.arrayContaining([
        expect.stringMatching(/^b\.yaml:2:3 the name Bad_Name must have lower-case/),
        expect.stringMatching(/^b\.yaml:8:11 .*port must be at least 1024/),
        expect.stringMatching(/^b\.yaml:9:18 .*description must not be empty/),
        expect.stringMatching(/^b\.yaml:10:5 emabled is not known/),
        expect.stringMatching(/^b\.yaml:12:17 .*required must be true/),
        expect.stringMatching(/^b\.yaml:13:15 .*scopes must name at least one scope/),
        expect.stringMatching(/^b\.yaml:\d+:\d+ .*beta\.module is missing/),
        expect.stringMatching(/^c\.yaml:2:3 the server alpha is also in .*a\.yaml:2:3/),
        expect.stringMatching(/^c\.yaml:8:\d+ port 5010 is also the port of alpha/),
        expect.stringMatching(/^d\.yaml:\d+:\d+ /),
      ]),
    );
  });

  it('holds ports to the range of the profile, and lets one that is off keep another one’s port', async () => {
    await write('a.yaml', good);
    await write('b.yaml', good.replace('alpha:', 'beta:').replace('port:', 'enabled: false\n    port:'));
    expect(await issuesOf()).toEqual([]);
    expect(await issuesOf({ portRange: [6000, 6999] })).toHaveLength(2);
    await write('b.yaml', good.replace('alpha:', 'registry:').replace('5010', '5011'));
    expect(await issuesOf()).toEqual([expect.stringContaining('is taken')]);
  });
});
