import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Client as ClientV2, StreamableHTTPClientTransport as TransportV2 } from '@modelcontextprotocol/client';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { noFootprint } from './helpers/leaks.ts';
import { type RunningSystem, startSystem } from './helpers/running-system.ts';

const inspector = fileURLToPath(new URL('../node_modules/.bin/mcp-inspector', import.meta.url));
const statusCall = { name: 'systemprompt', arguments: { args: ['infra', 'services', 'status'] } };

interface Table {
  readonly type: 'table';
  readonly items: readonly Record<string, string | number | null>[];
  readonly count: number;
}
interface Answer {
  readonly isError?: boolean;
  readonly structuredContent?: Table;
  readonly content: readonly { readonly type: string; readonly text?: string }[];
}

/** What stays the same between two looks at a running system. */
const stable = (table: Table) => table.items.map(({ name, state, pid, port }) => ({ name, state, pid, port }));

/** The main job: from nothing to a governed tool call, with the clients that users have. */
describe('the spine', () => {
  let system: RunningSystem;
  let shown: Table;
  beforeAll(async () => {
    system = await startSystem();
    shown = await system.artifact<Table>('infra', 'services', 'status');
  }, 120_000);
  afterAll(async () => {
    await system?.[Symbol.asyncDispose]();
  });

  const rows = async (): Promise<readonly Record<string, string | number | null>[]> =>
    (await system.artifact<Table>('admin', 'audit', 'list', '--limit', '100')).items;

  it('runs a database, the API and the MCP server', () => {
    expect(shown.items.map(({ name, state }) => [name, state])).toEqual([
      ['database', 'ready'],
      ['api', 'ready'],
      ['mcp:systemprompt', 'ready'],
    ]);
  });

  it('gives the official client (SDK v1) the same artifact that the terminal shows, and one audit row for the call', async () => {
    const before = (await rows()).length;
    const client = new Client({ name: 'test', version: '1.0.0' });
    const token = await system.token('--server', 'systemprompt');
    await client.connect(
      new StreamableHTTPClientTransport(new URL(system.mcpUrl), {
        requestInit: { headers: { authorization: `Bearer ${token}` } },
      }) as Parameters<Client['connect']>[0],
    );
    const { tools } = await client.listTools();
    expect(tools.map(({ name }) => name)).toContain('systemprompt');
    expect(tools.find(({ name }) => name === 'systemprompt')?.outputSchema?.type).toBe('object');
    const answer = (await client.callTool(statusCall)) as unknown as Answer;
    await client.close();
    expect(answer.isError ?? false).toBe(false);
    expect(answer.structuredContent?.type).toBe('table');
    expect(stable(answer.structuredContent as Table)).toEqual(stable(shown));
    expect(answer.content[0]?.text).toContain('mcp:systemprompt');
    const after = await rows();
    expect(after.length).toBe(before + 1);
    expect(after[0]).toMatchObject({ server: 'systemprompt', tool: 'systemprompt', user: 'owner', status: 'success' });
  });

  it.each(['auto', 'legacy'] as const)('serves the current SDK (v2), negotiation %s', async (mode) => {
    const client = new ClientV2(
      { name: 'test', version: '1.0.0' },
      mode === 'auto' ? { versionNegotiation: { mode: 'auto' } } : {},
    );
    const token = await system.token('--server', 'systemprompt');
    await client.connect(
      new TransportV2(new URL(system.mcpUrl), { requestInit: { headers: { authorization: `Bearer ${token}` } } }),
    );
    const answer = (await client.callTool(statusCall)) as unknown as Answer;
    await client.close();
    expect(stable(answer.structuredContent as Table)).toEqual(stable(shown));
  });

  it.each(['legacy', 'modern'])("serves the Inspector's command line, era %s", async (era) => {
    const token = await system.token('--server', 'systemprompt');
    const { stdout } = await promisify(execFile)(
      process.execPath,
      [
        inspector,
        ...['--cli', system.mcpUrl, '--transport', 'http', '--protocol-era', era],
        ...['--header', `Authorization: Bearer ${token}`, '--format', 'json', '-q'],
        ...['--method', 'tools/call', '--tool-name', 'systemprompt'],
        ...['--tool-args-json', JSON.stringify(statusCall.arguments)],
      ],
      { timeout: 60_000 },
    );
    const printed = JSON.parse(stdout) as Answer & { result?: Answer };
    expect(stable((printed.result ?? printed).structuredContent as Table)).toEqual(stable(shown));
  });

  it('does the same from the CLI', async () => {
    const table = await system.artifact<Table>(
      ...['plugins', 'mcp', 'call', 'systemprompt', 'systemprompt', '--args', JSON.stringify(statusCall.arguments)],
    );
    expect(stable(table)).toEqual(stable(shown));
  });

  const post = (token: string | undefined, body: unknown): Promise<Response> =>
    fetch(system.mcpUrl, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      },
      body: JSON.stringify(body),
    });
  const call = { jsonrpc: '2.0', id: 1, method: 'tools/call', params: statusCall };

  it('without a token: 401 that names the protected-resource metadata, which is there', async () => {
    const answer = await post(undefined, call);
    expect(answer.status).toBe(401);
    const metadata = /resource_metadata="([^"]+)"/.exec(answer.headers.get('www-authenticate') ?? '')?.[1];
    expect(metadata).toBe(`${system.url}/.well-known/oauth-protected-resource/api/v1/mcp/systemprompt/mcp`);
    const document = (await (await fetch(metadata as string)).json()) as Record<string, unknown>;
    expect(document).toMatchObject({ resource: system.mcpUrl, authorization_servers: [system.url] });
  });

  it('with a token for another audience: 401 invalid_token', async () => {
    const answer = await post(await system.token(), call);
    expect(answer.status).toBe(401);
    expect(answer.headers.get('www-authenticate')).toContain('error="invalid_token"');
  });

  it('without the scope of the server: 403 insufficient_scope, and a row that says refused', async () => {
    const token = await system.token('--server', 'systemprompt', '--scope', 'anonymous');
    const answer = await post(token, call);
    expect(answer.status).toBe(403);
    const challenge = answer.headers.get('www-authenticate') ?? '';
    expect(challenge).toContain('error="insufficient_scope"');
    expect(challenge).toMatch(/scope="[^"]*\buser\b[^"]*"/);
    expect((await rows())[0]).toMatchObject({ server: 'systemprompt', tool: 'systemprompt', status: 'refused' });
  });

  it('a user may read but is refused by name what needs more, through the same tool', async () => {
    const token = await system.token('--server', 'systemprompt', '--scope', 'user');
    const client = new Client({ name: 'test', version: '1.0.0' });
    await client.connect(
      new StreamableHTTPClientTransport(new URL(system.mcpUrl), {
        requestInit: { headers: { authorization: `Bearer ${token}` } },
      }) as Parameters<Client['connect']>[0],
    );
    const answer = (await client.callTool({
      name: 'systemprompt',
      arguments: { args: ['infra', 'services', 'restart', 'mcp:systemprompt'] },
    })) as unknown as Answer;
    await client.close();
    expect(answer.isError).toBe(true);
    expect(answer.content[0]?.text).toMatch(/admin/);
  });

  it('a second start says that it runs already, and where', async () => {
    const again = await system.run('infra', 'services', 'start');
    expect(again.code).toBe(0);
    expect(again.stdout + again.stderr).toMatch(/already/);
    expect(again.stdout).toContain(system.url);
  });

  it('stops without leaving a process, a port, a socket or half a file', async () => {
    expect(await system.stop()).toEqual(noFootprint);
  });
});
