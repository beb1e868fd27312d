import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { Client as ClientV1 } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { StreamableHTTPClientTransport as TransportV1 } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { commonVariables } from '../../src/lib/app/bridge/child-environment.ts';
import { markedProcesses } from '../../src/lib/infra/process/marker.ts';
import { type RunningSystem, startSystem } from '../helpers/running-system.ts';
import { until } from '../helpers/until.ts';

/*
 * Servers and clients that others wrote, as their users get them: three servers of the npm registry on standard input and
 * output, and a virtual one of all three; the official SDKs of both eras, the Inspector's command line in both, and
 * mcp-remote. In between the bridges, then the API, are killed. It needs the registry, which installs outside of the project.
 * Usage: npm run test:soak -- real [rounds]
 */

const [rounds = 3] = process.argv.slice(2).map(Number);
const tools = { inspector: '@modelcontextprotocol/inspector@2.12.0', remote: 'mcp-remote@0.15.1' };
const version = '2026.8.31';

const place = await mkdtemp(join(tmpdir(), 'systemprompt-real-'));
const files = join(place, 'files');
await mkdir(files);
await writeFile(join(files, 'hello.txt'), 'hello from a file\n');
await writeFile(join(place, 'package.json'), '{"private":true}');

type Args = Record<string, unknown>;
const note = { entities: [{ name: 'Ada', entityType: 'person', observations: ['counts'] }] };
const thought = { thought: 'a first one', nextThoughtNeeded: false, thoughtNumber: 1, totalThoughts: 1 };
/** By server: a tool, its arguments, what its answer has in it. */
const asked: Readonly<Record<string, readonly [tool: string, args: Args, says: string]>> = {
  filesystem: ['read_text_file', { path: join(files, 'hello.txt') }, 'hello from a file'],
  memory: ['create_entities', note, ''],
  'sequential-thinking': ['sequentialthinking', thought, 'thoughtHistoryLength'],
  team: ['fs_read_text_file', { path: join(files, 'hello.txt') }, 'hello from a file'],
};
const servers = Object.keys(asked);

const stdio = (name: string, more: string, args: readonly string[] = []) => `  ${name}:
    type: stdio
    command: npx
    args: ${JSON.stringify(['-y', `@modelcontextprotocol/server-${name}@${version}`, ...args])}
    start_timeout_ms: 120000
    description: ${name} of the registry
    oauth: { scopes: [user] }
${more}`;
const configuration = `mcp_servers:
${stdio('filesystem', '', [files])}${stdio('memory', `    env: { MEMORY_FILE_PATH: ${join(place, 'memory.jsonl')} }\n`)}${stdio('sequential-thinking', '')}  team:
    type: virtual
    targets: [{ server: filesystem, prefix: fs_ }, { server: memory }, { server: sequential-thinking }]
    description: All of them
    oauth: { scopes: [user] }
`;

/** How this machine reaches the registry: without it npx asks again and again, and says nothing. */
const network = Object.fromEntries(
  commonVariables.flatMap((name) => {
    const value = process.env[name];
    return value === undefined ? [] : [[name, value]];
  }),
);
const info = { name: 'real', version: '1.0.0' };
const bin = (name: string) => join(place, 'node_modules/.bin', name);
const told = (result: unknown) => (result as { content: { text?: string }[] }).content[0]?.text ?? '';

/** Runs a program to its end. @returns what it printed. @throws what it said when it failed */
async function ran(program: string, args: readonly string[]): Promise<string> {
  const child = spawn(program, args, { cwd: place, stdio: ['ignore', 'pipe', 'pipe'] });
  let [out, err] = ['', ''];
  child.stdout.on('data', (text) => {
    out += text;
  });
  child.stderr.on('data', (text) => {
    err += text;
  });
  const [code] = await once(child, 'close');
  if (code !== 0) throw new Error(`${program} ended with ${code}: ${(err + out).slice(-500)}`);
  return out;
}

interface Target {
  readonly url: string;
  readonly token: string;
}
type Use = (target: Target, tool: string, args: Args) => Promise<string>;
const header = ({ token }: Target) => ({ requestInit: { headers: { authorization: `Bearer ${token}` } } });

const v2 =
  (mode: 'legacy' | 'auto' | { pin: string }): Use =>
  async (target, name, args) => {
    const client = new Client(info, { versionNegotiation: { mode } });
    await client.connect(new StreamableHTTPClientTransport(new URL(target.url), header(target)));
    try {
      if ((await client.listTools()).tools.length === 0) throw new Error('no tools');
      return told(await client.callTool({ name, arguments: args }));
    } finally {
      await client.close();
    }
  };

async function byV1(transport: unknown, name: string, args: Args): Promise<string> {
  const client = new ClientV1(info);
  await client.connect(transport as never, { timeout: 120_000 });
  try {
    if ((await client.listTools()).tools.length === 0) throw new Error('no tools');
    return told(await client.callTool({ name, arguments: args }));
  } finally {
    await client.close();
  }
}

const inspector =
  (era: string): Use =>
  ({ url, token }, tool, args) =>
    ran(process.execPath, [
      ...[bin('mcp-inspector'), '--cli', '--server-url', url, '--transport', 'http', '--protocol-era', era],
      ...['--header', `Authorization: Bearer ${token}`, '--stored-auth-only', '-q', '--format', 'json'],
      ...['--method', 'tools/call', '--tool-name', tool, '--tool-args-json', JSON.stringify(args)],
    ]);

const clients: Readonly<Record<string, Use>> = {
  'SDK v1': (target, tool, args) => byV1(new TransportV1(new URL(target.url), header(target)), tool, args),
  'SDK v2, 2025-11-25': v2('legacy'),
  'SDK v2, either': v2('auto'),
  'SDK v2, 2026-07-28': v2({ pin: '2026-07-28' }),
  'Inspector, legacy': inspector('legacy'),
  'Inspector, modern': inspector('modern'),
  'mcp-remote': ({ url, token }, tool, args) => {
    const env = { PATH: process.env['PATH'] ?? '', HOME: place, MCP_REMOTE_CONFIG_DIR: join(place, 'mcp-remote') };
    const remote = [bin('mcp-remote'), url, '--header', `Authorization:Bearer ${token}`];
    return byV1(
      new StdioClientTransport({ command: process.execPath, args: remote, stderr: 'ignore', env }),
      tool,
      args,
    );
  },
};

let system: RunningSystem | undefined;
const failures: string[] = [];
async function round(running: RunningSystem): Promise<number> {
  let done = 0;
  for (const server of servers) {
    const token = await running.token('--server', server);
    const [tool, args, says] = asked[server] ?? ['', {}, ''];
    for (const [name, use] of Object.entries(clients)) {
      try {
        const answer = await use({ url: `${running.url}/api/v1/mcp/${server}/mcp`, token }, tool, args);
        if (!answer.includes(says)) throw new Error(`answered ${answer.slice(0, 200)}`);
        done += 1;
      } catch (error) {
        failures.push(`${name} × ${server}: ${error instanceof Error ? error.message : String(error)}`);
      }
    }
  }
  return done;
}

/** Kills what runs under the names, and waits until something else does. */
async function killed(running: RunningSystem, names: readonly string[]): Promise<void> {
  const all = (await markedProcesses(running.instance.id)).filter(({ service }) => names.includes(service));
  for (const { identity } of all) process.kill(identity.pid, 'SIGKILL');
  await until(
    'what was killed is back',
    async () => {
      const { stdout } = await running.run('infra', 'services', 'status', '--json');
      return stdout.startsWith('{"ok":true') && !/"state":"(?!ready)/.test(stdout);
    },
    60_000,
  );
}

try {
  await ran('npm', ['install', '--no-audit', '--no-fund', '--ignore-scripts', ...Object.values(tools)]);
  system = await startSystem(async ({ root }) => {
    await mkdir(join(root, 'services/mcp'), { recursive: true });
    await writeFile(join(root, 'services/mcp/real.yaml'), configuration);
  }, network);
  for (let n = 1; n <= rounds; n += 1) {
    const done = await round(system);
    console.log(`round ${n}: ${done} of ${servers.length * Object.keys(clients).length} passed`);
    await killed(system, n % 2 === 1 ? ['mcp:filesystem', 'mcp:memory', 'mcp:sequential-thinking'] : ['api']);
  }
  const verified = await system.run('admin', 'audit', 'verify');
  if (verified.code !== 0) failures.push(`the audit: ${verified.stdout}${verified.stderr}`);
} finally {
  await system?.[Symbol.asyncDispose]();
  await rm(place, { recursive: true, force: true });
}
for (const failure of failures) console.log(failure);
console.log(failures.length === 0 ? 'nothing failed' : `${failures.length} failed`);
process.exitCode = failures.length === 0 ? 0 : 1;
