import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { Client as ClientV1 } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport as TransportV1 } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { ElicitRequestSchema } from '@modelcontextprotocol/sdk/types.js';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type CliLoop, openCliLoop } from './helpers/cli.ts';
import { type RunningFixture, runFixture } from './helpers/run-fixture.ts';
import { type RunningSystem, startSystem } from './helpers/running-system.ts';
import { until } from './helpers/until.ts';

// The governed fleet as its owner and official clients meet it: every kind of server, both eras, one record of it all.

const responder = join(import.meta.dirname, 'fixtures/bridge/responder.mjs');
const configuration = (old: string, recent: string) => `mcp_servers:
  words:
    type: stdio
    command: ${process.execPath}
    args: [${responder}]
    description: Gives back what it is told
    hooks:
      - { type: deny, tools: echo, arguments: { path: '^/etc(/|$)' }, reason: Not there. }
      - { type: ask, tools: tail, reason: It is kept for long. }
    oauth: { scopes: [user] }
  looked-at:
    type: stdio
    command: ${process.execPath}
    args: [${responder}]
    description: Its tools are looked at first
    tool_policy: review
    oauth: { scopes: [user] }
  broken:
    type: stdio
    command: ${process.execPath}
    args: [${responder}, --crash-at-start]
    description: Ends at its start
    oauth: { scopes: [user] }
  old:
    type: external
    endpoint: http://127.0.0.1:${old}/mcp
    private_network: true
    description: Elsewhere, of the older revisions
    oauth: { scopes: [user] }
  recent:
    type: external
    endpoint: http://127.0.0.1:${recent}/mcp
    private_network: true
    description: Elsewhere, of 2026-07-28
    oauth: { scopes: [user] }
  desk:
    type: virtual
    targets:
      - { server: words, prefix: w_, tools: [echo, { tool: tail, as: keep }] }
      - { server: looked-at, prefix: l_, tools: [echo] }
      - { server: old, tools: [test_simple_text, test_elicitation] }
      - { server: recent, prefix: r_, tools: [test_elicitation] }
      - { server: broken }
    description: What the desk works with
    oauth: { scopes: [user] }
`;

let system: RunningSystem;
let elsewhere: RunningFixture[];
let loop: CliLoop;
beforeAll(async () => {
  loop = openCliLoop();
  elsewhere = ['legacy', 'modern'].map((era) => runFixture('mcp/everything.mjs', [era, 'http']));
  const [old = '', recent = ''] = await Promise.all(elsewhere.map((program) => program.line()));
  system = await startSystem(async ({ root }) => {
    const folder = join(root, 'services/mcp');
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, 'fleet.yaml'), configuration(old, recent));
    // A project's own folder stands in for the one that comes with the package.
    await copyFile(join(import.meta.dirname, '../services/mcp/systemprompt.yaml'), join(folder, 'systemprompt.yaml'));
  });
});
afterAll(async () => {
  await loop?.[Symbol.asyncDispose]();
  await system?.[Symbol.asyncDispose]();
  for (const program of elsewhere ?? []) program.process.kill('SIGKILL');
});

const info = { name: 'fleet', version: '1.0.0' };
/** What a user who agrees to everything answers. */
function told({ requestedSchema }: object & { requestedSchema?: { properties: object } }) {
  const content: Record<string, string | boolean> = {};
  for (const [name, { type }] of Object.entries(requestedSchema?.properties ?? {}) as [string, { type: string }][])
    content[name] = type === 'boolean' ? true : 'Ada';
  return { action: 'accept' as const, content };
}
type Call = (tool: string, args?: Record<string, unknown>) => Promise<string>;
interface Caller extends AsyncDisposable {
  readonly protocol: string | undefined;
  readonly questions: readonly string[];
  tools(): Promise<string[]>;
  readonly call: Call;
}
const wordsOf = (result: unknown) => (result as { content: { text: string }[] }).content[0]?.text ?? '';
const named = ({ tools }: { tools: { name: string }[] }) => tools.map(({ name }) => name);

/** The official clients, each with a user who says yes to what is asked. */
const clients = {
  async v1(server: string): Promise<Caller> {
    const questions: string[] = [];
    const client = new ClientV1(info, { capabilities: { elicitation: {} } });
    client.setRequestHandler(ElicitRequestSchema, ({ params }) => {
      questions.push(params.message);
      return told(params as never);
    });
    const transport = new TransportV1(addressOf(server), await bearer(server));
    await client.connect(transport as never);
    return {
      protocol: transport.protocolVersion,
      questions,
      tools: async () => named(await client.listTools()),
      call: async (name, args = {}) => wordsOf(await client.callTool({ name, arguments: args })),
      [Symbol.asyncDispose]: () => client.close(),
    };
  },
  async v2(server: string): Promise<Caller> {
    const questions: string[] = [];
    const versionNegotiation = { mode: { pin: '2026-07-28' } } as const;
    const client = new Client(info, { capabilities: { elicitation: {} }, versionNegotiation });
    client.setRequestHandler('elicitation/create', ({ params }) => {
      questions.push(params.message);
      return told(params as never);
    });
    await client.connect(new StreamableHTTPClientTransport(addressOf(server), await bearer(server)));
    return {
      protocol: client.getNegotiatedProtocolVersion(),
      questions,
      tools: async () => named(await client.listTools()),
      call: async (name, args = {}) => wordsOf(await client.callTool({ name, arguments: args })),
      [Symbol.asyncDispose]: () => client.close(),
    };
  },
};
const addressOf = (server: string) => new URL(`${system.url}/api/v1/mcp/${server}/mcp`);
const tokens = new Map<string, Promise<string>>();
async function bearer(server: string) {
  const token = tokens.get(server) ?? system.token('--server', server);
  tokens.set(server, token);
  return { requestInit: { headers: { authorization: `Bearer ${await token}` } } };
}
const cli = (...argv: string[]) => loop.run({ argv: ['plugins', 'mcp', ...argv], cwd: system.instance.root });

it.each([
  ['v1', '2025-11-25'],
  ['v2', '2026-07-28'],
] as const)(
  'the client of SDK %s reaches every kind of server by %s, and is asked what a server asks',
  async (sdk, protocol) => {
    const open = clients[sdk];
    await using words = await open('words');
    expect(words.protocol).toBe(protocol);
    expect(await words.tools()).toContain('echo');
    expect(await words.call('echo', { a: sdk })).toContain(sdk);
    await expect(words.call('echo', { path: '/etc/passwd' })).rejects.toThrow('Not there.');
    // What a rule asks for is asked at the client.
    expect(await words.call('tail', { a: 1 })).toContain('"a":1');
    expect(words.questions).toEqual([expect.stringContaining('It is kept for long.')]);

    for (const server of ['old', 'recent']) {
      await using other = await open(server);
      expect(await other.call('test_simple_text')).toContain('simple text');
      expect(await other.call('test_elicitation', { message: 'Who?' })).toContain('Ada');
      expect(other.questions).toEqual(['Who?']);
    }

    await using desk = await open('desk');
    // One that is dead hides no other, and what is held is not offered.
    expect((await desk.tools()).sort()).toEqual([
      'r_test_elicitation',
      'test_elicitation',
      'test_simple_text',
      'w_echo',
      'w_keep',
    ]);
    expect(await desk.call('w_echo', { a: 2 })).toContain('"a":2');
    await expect(desk.call('w_echo', { path: '/etc' })).rejects.toThrow('Not there.');
    // A virtual server keeps no session: only a client that says with each call what it can is asked.
    if (sdk === 'v2') {
      for (const tool of ['test_elicitation', 'r_test_elicitation'])
        expect(await desk.call(tool, { message: 'And who?' })).toContain('Ada');
    }
    await expect(desk.call('l_echo')).rejects.toThrow('has not been approved yet');

    await using own = await open('systemprompt');
    expect(await own.call('systemprompt', { args: ['plugins', 'mcp', 'list'] })).toContain('looked-at');
  },
);

it('at the terminal: held tools are looked at and approved, and so is a call that a rule stops', async () => {
  expect((await cli('validate', 'broken')).stderr).toContain('exit code 3');
  const crash = await cli('tools', 'broken');
  expect(crash.stderr).toContain('fatal: no vault here');
  expect(crash.stderr).not.toContain('hunter2');

  const held = await cli('call', 'desk', 'l_echo', '--args', '{}');
  expect(held.stderr).toContain('plugins mcp tools looked-at --diff');
  expect((await cli('tools', 'looked-at', '--diff')).stdout).toContain('echo  held (new)');
  expect((await cli('approve', 'looked-at', 'echo')).code).toBe(0);
  // Every API process hears of it.
  await until(
    'the tool is let through',
    async () => (await cli('call', 'desk', 'l_echo', '--args', '{"a":1}')).code === 0,
  );
  expect((await cli('tools', 'desk', '--json')).stdout).toContain('"l_echo"');

  const keep = ['call', 'desk', 'w_keep', '--args', '{"b":1}'];
  const stopped = await cli(...keep);
  expect(stopped).toMatchObject({ code: 4, stderr: expect.stringContaining('It is kept for long.') });
  const id = /approvals show ([0-9a-f-]{36})/.exec(stopped.stderr)?.[1] ?? '';
  expect((await cli('approvals', 'show', id)).stdout).toContain('waiting');
  expect((await cli('approvals', 'approve', id)).code).toBe(0);
  expect(await cli(...keep)).toMatchObject({ code: 0, stdout: expect.stringContaining('"b":1') });
  expect((await cli(...keep)).code).toBe(4);
});

it('all of it is on record, by the server that answered and the one that was asked, and the record is whole', async () => {
  interface Row {
    readonly server: string;
    readonly tool: string;
    readonly status: string;
  }
  const { items } = await system.artifact<{ items: Row[] }>('admin', 'audit', 'list', '--limit', '200');
  const count = (server: string, tool: string, status: string) =>
    items.filter((row) => row.server === server && row.tool === tool && row.status === status).length;
  expect(count('words', 'echo', 'success')).toBe(4);
  expect(count('words', 'echo', 'refused')).toBe(4);
  expect(count('words', 'tail', 'success')).toBe(3);
  expect(count('looked-at', 'echo', 'refused')).toBe(3);
  expect(items.some(({ server }) => server === 'desk')).toBe(false);
  expect(await system.run('admin', 'audit', 'verify')).toMatchObject({
    code: 0,
    stdout: expect.stringContaining('whole'),
  });
});
