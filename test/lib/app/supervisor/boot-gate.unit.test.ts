import { mkdir, writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { undeclaredTools, unlistedTools } from '../../../../src/lib/app/config/declared-tools.ts';
import { loadServices } from '../../../../src/lib/app/config/load-services.ts';
import { bootGate, findProgram } from '../../../../src/lib/app/supervisor/boot-gate.ts';
import type { SecretStore } from '../../../../src/lib/infra/config/secrets.ts';
import { temporaryFolder } from '../../../helpers/temporary-folder.ts';

/** A project of these files; what ends in `!` is executable. */
async function projectOf(root: string, files: Readonly<Record<string, string>>): Promise<void> {
  for (const [path, text] of Object.entries(files)) {
    const file = join(root, path.replace(/!$/, ''));
    await mkdir(join(file, '..'), { recursive: true });
    await writeFile(file, text, { mode: path.endsWith('!') ? 0o755 : 0o644 });
  }
}

function keeping(...names: readonly string[]): SecretStore {
  const get = async (name: string) => (names.includes(name) ? 'kept' : undefined);
  return { get, fingerprint: async () => 'f' } as unknown as SecretStore;
}

const common = '    description: D\n    oauth: { scopes: [user] }\n';

describe('the boot gate', () => {
  it('names everything that keeps servers from starting, each with its place', async () => {
    await using folder = await temporaryFolder();
    await projectOf(folder.path, {
      'services/mcp/a.yaml': `mcp_servers:
  gone:
    module: extensions/mcp/gone
    port: 5010
${common}  unbuilt:
    module: extensions/mcp/unbuilt
    port: 5011
${common}  program:
    type: stdio
    command: no-such-program
    cwd: nowhere
    variables: { TOKEN: { required: true } }
${common}  script:
    type: stdio
    command: ./run.sh
${common}  key:
    type: external
    endpoint: https://mcp.example.com/mcp
    upstream_auth: { type: key, secret: example.key }
${common}  off:
    type: stdio
    command: no-such-program
    enabled: false
${common}`,
      'extensions/mcp/unbuilt/index.ts': '',
      'run.sh': '',
    });
    const { mcpServers } = await loadServices({ servicesDir: join(folder.path, 'services') });
    const source = {
      instance: { root: folder.path },
      servers: mcpServers,
      packageRoot: folder.path,
      env: { PATH: '/none' },
    };
    const { issues, next } = await bootGate({ ...source, secrets: keeping() });
    expect(issues.map(({ line, column, message }) => `${line}:${column} ${message}`).sort()).toEqual(
      [
        '14:14 the program `no-such-program` of program does not exist, or is not executable',
        '14:14 the folder `nowhere` that program runs in does not exist',
        '16:18 the variable TOKEN, which program requires, is not set',
        '21:14 the program `./run.sh` of script does not exist, or is not executable',
        '26:15 key asks for the secret example.key, which is not set',
        '3:13 the module extensions/mcp/gone of gone does not exist',
        '8:13 the module extensions/mcp/unbuilt of unbuilt does not exist',
      ].sort(),
    );
    expect(issues.every(({ hint }) => hint !== undefined)).toBe(true);
    expect(next).toEqual(['build mcp']);
  });

  it('lets pass what has all that it needs', async () => {
    await using folder = await temporaryFolder();
    await projectOf(folder.path, {
      'services/mcp/a.yaml': `mcp_servers:
  program:
    type: stdio
    command: tool
    variables: { TOKEN: { required: true } }
${common}  key:
    type: external
    endpoint: https://mcp.example.com/mcp
    upstream_auth: { type: key, secret: example.key }
${common}  mine:
    type: external
    endpoint: https://mcp.example.com/mcp
    upstream_auth: { type: key, secret: example.other, per: user }
${common}`,
      'bin/tool!': '#!/bin/sh\n',
    });
    const { mcpServers } = await loadServices({ servicesDir: join(folder.path, 'services') });
    const env = { PATH: ['/none', join(folder.path, 'bin')].join(delimiter) };
    const secrets = keeping('TOKEN', 'mcp.key.example.key');
    const gate = await bootGate({
      instance: { root: folder.path },
      servers: mcpServers,
      packageRoot: folder.path,
      env,
      secrets,
    });
    expect(gate.issues).toEqual([]);
    expect(gate.servers.map(({ server }) => server.name)).toEqual(['key', 'mine', 'program']);
    expect(findProgram('tool', folder.path, env.PATH)).toBe(join(folder.path, 'bin/tool'));
  });
});

describe('tools that are named', () => {
  it('must be tools of their server, as far as that is known', async () => {
    await using folder = await temporaryFolder();
    const record = {
      version: 1,
      name: 'desk',
      digest: 'd',
      inputsDigest: 'i',
      inputs: [],
      outputs: {},
      server: { name: 'desk', version: '1.0.0', contract: 1, tools: ['list_tickets', 'close_ticket'] },
      versions: { systemprompt: '0', esbuild: '0' },
    };
    await projectOf(folder.path, {
      'dist/extensions/mcp/desk/index.js': '',
      'dist/extensions/mcp/desk/artifact.json': JSON.stringify(record),
      'services/mcp/a.yaml': `mcp_servers:
  desk:
    module: extensions/mcp/desk
    port: 5010
    tools: { close_tickets: {} }
${common}  team:
    type: virtual
    targets:
      - { server: desk, tools: [list_tickets, wipe] }
${common}`,
      'services/agents/a.yaml': `agents:
  helper:
    port: 9000
    card: { description: Helps }
    metadata:
      mcp_servers: [desk, team]
      tool_model_overrides:
        desk: { list_ticket: { model: m }, close_ticket: { model: m } }
        team: { close_ticket: { model: m } }
`,
    });
    const services = await loadServices({ servicesDir: join(folder.path, 'services') });
    const issues = undeclaredTools(services, [folder.path]);
    expect(issues.map(({ line, column, message, hint }) => `${line}:${column} ${message}: ${hint}`)).toEqual([
      '5:29 desk has no tool `close_tickets`: did you mean `close_ticket`?',
      '11:47 desk has no tool `wipe`: it has list_tickets, close_ticket',
      '8:30 desk has no tool `list_ticket`: did you mean `list_tickets`?',
      '9:31 team has no tool `close_ticket`: did you mean `list_tickets`?',
    ]);
  });

  it('are looked for in what other servers listed last, and it is said where nobody knows', async () => {
    await using folder = await temporaryFolder();
    await projectOf(folder.path, {
      'services/mcp/a.yaml': `mcp_servers:
  files: { type: stdio, command: node, description: d, oauth: { scopes: [user] } }
  later: { type: stdio, command: node, description: d, oauth: { scopes: [user] } }
  all:
    type: virtual
    targets: [{ server: files, prefix: fs_ }]
${common}`,
      'services/agents/a.yaml': `agents:
  helper:
    port: 9000
    card: { description: Helps }
    metadata:
      mcp_servers: [files, later, all]
      tool_model_overrides:
        files: { raed: { model: m }, read: { model: m } }
        later: { read: { model: m } }
        all: { read: { model: m }, fs_read: { model: m } }
`,
    });
    const services = await loadServices({ servicesDir: join(folder.path, 'services') });
    const told = (current: boolean, known = true) =>
      unlistedTools(
        services,
        [folder.path],
        known ? new Map([['files', { tools: new Set(['read']), current }]]) : undefined,
      ).map(({ line, column, message, certain }) => `${line}:${column} ${certain} ${message}`);
    expect(told(true)).toEqual([
      '8:24 true files has no tool `raed`',
      '9:24 false whether later has a tool `read` is not known: it has never listed its tools',
      '10:22 true all has no tool `read`',
    ]);
    expect(told(false)[0]).toBe('8:24 false files had no tool `raed` when it last listed its tools');
    expect(told(false, false)).toHaveLength(5);
  });
});
