import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type LoadServicesOptions, loadServices } from '../../../../src/lib/app/config/load-services.ts';
import { hasProcess, isBridged, type McpServerConfig } from '../../../../src/lib/domain/mcp/index.ts';
import { ConfigInvalidError } from '../../../../src/lib/shared/errors.ts';

let services: string;

beforeEach(async () => {
  services = await mkdtemp(join(tmpdir(), 'mcp-kinds-'));
  await mkdir(join(services, 'mcp'));
});
afterEach(() => rm(services, { recursive: true, force: true }));

const common = '    description: D\n    oauth: { scopes: [user] }\n';

/** @param text the servers, each with its fields; what every one needs is added where `…` stands */
async function read(text: string, options: LoadServicesOptions = {}): Promise<Map<string, McpServerConfig>> {
  await writeFile(join(services, 'mcp', 'a.yaml'), `mcp_servers:\n${text.replaceAll('    …\n', common)}`);
  const { mcpServers } = await loadServices({ servicesDir: services }, options);
  return new Map(mcpServers.map((server) => [server.name, server]));
}

/** Findings as `line:column message`. */
async function findings(text: string): Promise<string[]> {
  try {
    await read(text);
  } catch (error) {
    if (!(error instanceof ConfigInvalidError)) throw error;
    return error.issues.map(({ line, column, message }) => `${line}:${column} ${message.replaceAll('`', '')}`);
  }
  return [];
}

describe('the kinds of server', () => {
  it('reads each with its defaults, in one list', async () => {
    const servers = await read(`  files:
    type: stdio
    command: npx
    args: [-y, '@modelcontextprotocol/server-filesystem', /srv]
    …
  own:
    type: stdio
    command: ./own.sh
    cwd: tools
    instances: user
    idle_stop_s: 0
    start_timeout_ms: 500
    user_variables: [TOKEN]
    tool_policy: review
    circuit_breaker: false
    rate_limit: { requests: 5 }
    tools: { go: { rate_limit: { requests: 1, per_seconds: 10, per: server } } }
    …
  py:
    command: python3
    args: [server.py]
    port: 5100
    …
  remote:
    type: external
    endpoint: https://mcp.example.com/mcp
    …
  secured:
    type: external
    endpoint: http://10.0.0.7:8080/sse
    transport: sse
    private_network: true
    upstream_auth: { type: key, header: X-API-Key, secret: remote.key, per: user }
    …
  signed:
    type: external
    endpoint: https://mcp.example.com/mcp
    upstream_auth: { type: oauth, scopes: [a], client_id: us, client_secret: '\${secret:remote.client}', issuer: 'https://as.example.com' }
    …
  team:
    type: virtual
    targets:
      - server: files
        prefix: fs_
        tools: [read_file, { tool: write_file, as: save, description: Saves }]
      - { server: remote }
    …
`);
    const process = { instances: 'shared', idleStopMs: 300_000, startTimeoutMs: 30_000, userVariables: [] };
    expect(servers.get('files')).toMatchObject({
      kind: 'stdio',
      command: { program: 'npx', args: ['-y', '@modelcontextprotocol/server-filesystem', '/srv'] },
      process,
      port: undefined,
      toolPolicy: 'auto',
      breaker: { failures: 5, cooldownMs: 10_000 },
      moduleAt: { line: 4, column: 14 },
    });
    expect(servers.get('own')).toMatchObject({
      command: { program: './own.sh', args: [], cwd: 'tools' },
      process: { instances: 'user', idleStopMs: 0, startTimeoutMs: 500, userVariables: ['TOKEN'] },
      toolPolicy: 'review',
      breaker: undefined,
      rateLimit: { requests: 5, perSeconds: 60, per: 'user' },
    });
    expect(servers.get('own')?.tools.get('go')?.rateLimit).toEqual({ requests: 1, perSeconds: 10, per: 'server' });
    expect(servers.get('py')).toMatchObject({ kind: 'internal', module: '', command: { program: 'python3' }, process });
    expect(servers.get('remote')?.external).toEqual({
      endpoint: 'https://mcp.example.com/mcp',
      transport: 'auto',
      privateNetwork: false,
      auth: { type: 'none' },
    });
    expect(servers.get('secured')?.external).toMatchObject({
      transport: 'sse',
      privateNetwork: true,
      auth: { type: 'key', per: 'user', header: 'X-API-Key', secret: 'remote.key' },
    });
    expect(servers.get('signed')?.external?.auth).toEqual({
      type: 'oauth',
      per: 'shared',
      scopes: ['a'],
      clientId: 'us',
      clientSecret: 'remote.client',
      issuer: 'https://as.example.com',
    });
    expect(servers.get('team')?.virtual?.targets).toEqual([
      {
        server: 'files',
        prefix: 'fs_',
        tools: [
          { tool: 'read_file', as: 'fs_read_file' },
          { tool: 'write_file', as: 'fs_save', description: 'Saves' },
        ],
      },
      { server: 'remote', prefix: '', tools: '*' },
    ]);
    const bridged = [...servers.values()].filter(isBridged).map(({ name }) => name);
    expect(bridged).toEqual(['files', 'own', 'py', 'remote', 'secured', 'signed']);
    expect([...servers.values()].filter((server) => !hasProcess(server)).map(({ name }) => name)).toEqual(['team']);
  });

  it('shows a client secret to the issuer that is named here alone, not to whom the server names', async () => {
    const faults = await findings(`  a:
    type: external
    endpoint: https://mcp.example.com/mcp
    upstream_auth: { type: oauth, client_id: us, client_secret: '\${secret:remote.client}' }
    …
`);
    expect(faults).toEqual([expect.stringContaining('needs the issuer that it is for')]);
  });

  it('tells what a kind lacks or has too much, all at once', async () => {
    const faults = await findings(`  a:
    type: stdio
    endpoint: https://mcp.example.com/mcp
    …
  b:
    type: external
    command: npx
    env: { A: b }
    …
  c:
    type: external
    endpoint: http://mcp.example.com/mcp#x
    delegate: true
    …
  d:
    type: virtual
    port: 5101
    …
  e:
    module: x
    command: python3
    …
  f:
    args: [x]
    …
  g:
    type: stdio
    command: x
    user_variables: [A]
    …
  h:
    type: remote
    …
`);
    expect(faults).toMatchInlineSnapshot(`
      [
        "3:5 mcp_servers.a.command is missing",
        "8:5 mcp_servers.b.endpoint is missing",
        "9:14 mcp_servers.b.command is not for a server of type external",
        "10:10 mcp_servers.b.env is not for a server of type external",
        "15:15 mcp_servers.c.endpoint is not an https address",
        "16:15 mcp_servers.c.delegate is not for a server of type external",
        "20:5 mcp_servers.d.targets is missing",
        "21:11 mcp_servers.d.port is not for a server of type virtual",
        "25:13 mcp_servers.e.module is there beside command",
        "30:5 mcp_servers.f lacks module, port",
        "30:11 mcp_servers.f.args is there without command",
        "36:21 mcp_servers.g.user_variables is there without instances: user",
        "40:11 mcp_servers.h.type must be internal, stdio, external or virtual",
      ]
    `);
  });

  it('has no server for development alone in force in production', async () => {
    const text = '  a:\n    command: x\n    dev_only: true\n    …\n';
    const profile = (environment: 'production' | 'staging') => ({
      profile: { runtime: { environment } },
    });
    expect((await read(text, profile('staging'))).get('a')).toMatchObject({ enabled: true, devOnly: true });
    expect((await read(text, profile('production'))).get('a')).toMatchObject({ enabled: false, devOnly: true });
  });
});
