import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { CallToolResultSchema } from '@modelcontextprotocol/sdk/types.js';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { processInfo } from '../../../../src/lib/infra/process/identity.ts';
import type { Identity } from '../../../../src/lib/infra/security/identity-header.ts';
import type { UserId } from '../../../../src/lib/shared/ids.ts';
import { type CliPackage, createCliPackage } from '../../../helpers/cli-package.ts';
import { type McpChild, startMcpChild } from '../../../helpers/mcp-child.ts';

interface Answer {
  readonly isError?: boolean;
  readonly content: readonly { readonly text: string }[];
  readonly structuredContent?: Record<string, unknown>;
  readonly _meta?: { readonly 'systemprompt/error'?: { code: string; message: string; hint?: string; next: string[] } };
}

let cli: CliPackage;
let server: McpChild;
let folder: string;
const token = 'canary-token-of-the-caller';

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'systemprompt-tool-'));
  cli = await createCliPackage({ built: true });
  server = await startMcpChild({
    packageRoot: cli.root,
    extension: join(cli.root, 'dist/extensions/mcp/systemprompt/index.js'),
    name: 'systemprompt',
    root: folder,
    env: { DATABASE_URL: 'postgres://canary-database', SYSTEMPROMPT_PROFILE: 'local' },
  });
});
afterAll(async () => {
  await server[Symbol.asyncDispose]();
  cli[Symbol.dispose]();
  rmSync(folder, { recursive: true, force: true });
});

async function connect(identity: Partial<Identity> = {}, from = server, withToken = true): Promise<Client> {
  const client = new Client({ name: 'test', version: '1' });
  const routed: typeof fetch = (input, init) => {
    const headers = new Headers(init?.headers);
    const given = from.headers(identity, withToken ? token : undefined);
    for (const [name, value] of Object.entries(given)) headers.set(name, value);
    return fetch(input, { ...init, headers });
  };
  const transport = new StreamableHTTPClientTransport(new URL(`${from.origin}/mcp`), { fetch: routed });
  await client.connect(transport as never);
  await client.listTools();
  return client;
}

async function ask(input: object, identity: Partial<Identity> = {}, tool = 'systemprompt'): Promise<Answer> {
  const client = await connect(identity);
  try {
    return (await client.callTool({ name: tool, arguments: { ...input } })) as unknown as Answer;
  } finally {
    await client.close();
  }
}

function failure(answer: Answer) {
  expect(answer.isError).toBe(true);
  return answer._meta?.['systemprompt/error'];
}

const admin = { scopes: ['admin'] };

describe('the tool systemprompt', () => {
  it('says honestly what it may do', async () => {
    const client = await connect();
    const { tools } = await client.listTools();
    expect(
      tools.map(({ name, annotations }) => [name, annotations?.readOnlyHint, annotations?.destructiveHint]),
    ).toEqual([
      ['systemprompt', false, true],
      ['commands', true, false],
    ]);
    expect(tools[0]?.inputSchema).toMatchObject({ type: 'object', additionalProperties: false });
    expect(tools[0]?.inputSchema).not.toHaveProperty('oneOf');
    expect(tools[0]?.outputSchema).toMatchObject({ type: 'object' });
    await client.close();
  });

  it('runs a command given word by word, or as a line without a shell', async () => {
    const words = ['demo', 'echo', 'a b', '$(id)', '*', '; ls'];
    const byArgs = await ask({ args: words });
    expect(byArgs.structuredContent).toMatchObject({ type: 'text', content: 'a b|$(id)|*|; ls' });
    expect(byArgs.content[0]?.text).toContain('a b|$(id)|*|; ls');
    const byLine = await ask({ command: `demo echo 'a b' "$(id)" \\* '; ls'` });
    expect(byLine.structuredContent).toMatchObject({ content: 'a b|$(id)|*|; ls' });
  });

  it('gives the command the token on a descriptor and none of the server’s secrets', async () => {
    const { structuredContent } = await ask({ command: 'demo echo x --profile-less' });
    const data = structuredContent?.['data'] as {
      argv: string[];
      token: string;
      env: Record<string, string>;
      cwd: string;
    };
    expect(data.token).toBe(token);
    expect(data.cwd).toBe(folder);
    expect(data.argv.slice(0, 4)).toEqual(['demo', 'echo', '--json', '--non-interactive']);
    expect(data.env).toMatchObject({
      SYSTEMPROMPT_DEPTH: '1',
      SYSTEMPROMPT_NON_INTERACTIVE: '1',
      SYSTEMPROMPT_TOKEN_FD: '3',
      SYSTEMPROMPT_PROFILE: 'local',
      SYSTEMPROMPT_SERVICE_INSTANCE: server.instanceId,
    });
    const elsewhere = JSON.stringify({ argv: data.argv, env: data.env });
    expect(elsewhere).not.toContain(token);
    expect(elsewhere).not.toContain('canary-database');
    expect(data.env).not.toHaveProperty('SYSTEMPROMPT_IDENTITY_KEY');
    expect(server.output()).not.toContain(token);
  });

  it('passes on what a failed command says of itself', async () => {
    const answer = await ask({ args: ['demo', 'fail'] });
    expect(failure(answer)).toEqual({
      code: 'NOT_FOUND',
      message: 'No such thing',
      hint: 'Look elsewhere',
      next: ['demo echo'],
    });
    expect(answer.content[0]?.text).toBe('NOT_FOUND: No such thing\nLook elsewhere\nNext:\n  demo echo');
  });

  it('keeps the lines of a command that streams', async () => {
    const { structuredContent } = await ask({ args: ['demo', 'stream'] });
    expect(structuredContent).toMatchObject({
      type: 'text',
      content: '{"n":1}\n{"n":2}',
      data: { end: { content: 'end' } },
    });
  });

  it('says so when a command gives no result, or far too much', async () => {
    expect(failure(await ask({ args: ['demo', 'garbage'] }))).toMatchObject({
      code: 'INTERNAL',
      message: expect.stringMatching(/exit code 1/),
    });
    expect(failure(await ask({ args: ['demo', 'flood'] }))).toMatchObject({ code: 'TOO_LARGE' });
  });

  it('takes exactly one of args, command and cursor', async () => {
    for (const input of [{}, { args: ['a'], command: 'a' }, { args: ['a'], shell: true }]) {
      expect((await ask(input)).isError).toBe(true);
    }
  });

  it('names what was probably meant when there is no such command', async () => {
    expect(failure(await ask({ command: 'demo ecko x' }))).toMatchObject({ code: 'USAGE', next: ['demo echo'] });
    expect(failure(await ask({ command: 'demo hidden' }))).toMatchObject({ code: 'USAGE' });
  });

  it('refuses another profile and drops what it sets itself', async () => {
    expect(failure(await ask({ args: ['demo', 'echo', '--profile', 'prod'] }))).toMatchObject({ code: 'USAGE' });
    expect(failure(await ask({ args: ['demo', 'echo', '--profile=prod'] }))).toMatchObject({ code: 'USAGE' });
    const { structuredContent } = await ask({ args: ['--json', 'demo', 'echo', 'x', '--json', '--', '--json'] });
    expect(structuredContent).toMatchObject({
      data: { argv: ['demo', 'echo', '--json', '--non-interactive', 'x', '--', '--json'] },
    });
  });

  it('shows help without running anything', async () => {
    expect((await ask({ command: 'demo deep destroy --help' })).structuredContent).toMatchObject({
      content: 'help for demo deep destroy',
    });
    expect((await ask({ args: [] })).structuredContent).toMatchObject({ content: 'help for all' });
  });
});

describe('what the caller may do', () => {
  it('refuses without the permission, and names it', async () => {
    const refused = failure(await ask({ command: 'demo deep write' }));
    expect(refused).toMatchObject({ code: 'FORBIDDEN', message: "demo deep write needs the permission 'admin'" });
    expect(refused?.hint).toContain('user');
    expect((await ask({ command: 'demo deep write' }, admin)).structuredContent).toMatchObject({
      content: 'did write',
    });
  });

  it('destroys only for an admin who confirmed', async () => {
    const command = 'demo deep destroy';
    expect(failure(await ask({ command, confirm: true }))).toMatchObject({
      code: 'FORBIDDEN',
      message: expect.stringMatching(/'admin'/),
    });
    expect(failure(await ask({ command: `${command} --yes` }, admin))).toMatchObject({
      code: 'PRECONDITION',
      hint: expect.stringMatching(/confirm: true/),
    });
    const { structuredContent } = await ask({ command, confirm: true }, admin);
    expect(structuredContent).toMatchObject({
      data: { argv: ['demo', 'deep', 'destroy', '--json', '--non-interactive', '--yes'] },
    });
  });

  it('does not run what belongs to the machine', async () => {
    expect(failure(await ask({ command: 'demo local' }, admin))).toMatchObject({
      code: 'FORBIDDEN',
      message: expect.stringMatching(/machine/),
    });
  });

  it('does not call itself, by whatever spelling', async () => {
    const spellings = [
      ['plugins', 'mcp', 'call', 'systemprompt', 'systemprompt'],
      ['plugins:mcp:call', '--args', '{"command":"x"}', 'systemprompt', 'commands'],
      ['plugins', 'mcp', 'call', '--', 'systemprompt', 'systemprompt'],
    ];
    for (const args of spellings) {
      expect(failure(await ask({ args }, admin))).toMatchObject({
        code: 'FORBIDDEN',
        message: expect.stringMatching(/from within itself/),
      });
    }
    const other = await ask({ args: ['plugins', 'mcp', 'call', 'other', 'systemprompt'] });
    expect(other.structuredContent).toMatchObject({ content: 'called' });
  });

  it('runs nothing in a server that such a command started', async () => {
    await using inner = await startMcpChild({
      packageRoot: cli.root,
      extension: join(cli.root, 'dist/extensions/mcp/systemprompt/index.js'),
      env: { SYSTEMPROMPT_DEPTH: '1' },
    });
    const client = await connect({}, inner);
    const answer = (await client.callTool({
      name: 'systemprompt',
      arguments: { command: 'demo echo x' },
    })) as unknown as Answer;
    expect(failure(answer)).toMatchObject({
      code: 'FORBIDDEN',
      message: expect.stringMatching(/itself started by a command/),
    });
    await client.close();
  });

  it('runs nothing without delegation', async () => {
    const client = await connect({}, server, false);
    const answer = (await client.callTool({
      name: 'systemprompt',
      arguments: { command: 'demo echo x' },
    })) as unknown as Answer;
    expect(failure(answer)).toMatchObject({ code: 'PRECONDITION', hint: expect.stringMatching(/delegate: true/) });
    await client.close();
  });
});

describe('large results', () => {
  it('comes in pages that together are the whole', async () => {
    const seen: number[] = [];
    let input: object = { args: ['demo', 'table', '--count', '1000'], limit_bytes: 8_192 };
    for (let pages = 0; ; pages += 1) {
      const { structuredContent, content } = await ask(input);
      const table = structuredContent as { items: { index: number }[]; count: number; next_cursor?: string };
      expect(Buffer.byteLength(JSON.stringify(structuredContent))).toBeLessThanOrEqual(8_192);
      expect(table.count).toBe(1000);
      seen.push(...table.items.map(({ index }) => index));
      if (table.next_cursor === undefined) break;
      expect(content[0]?.text).toContain(`next_cursor: ${table.next_cursor}`);
      input = { cursor: table.next_cursor, limit_bytes: 8_192 };
      expect(pages).toBeLessThan(50);
    }
    expect(seen).toEqual(Array.from({ length: 1000 }, (_, index) => index));
  });

  it('gives a page to nobody but the one who asked, with the right still held', async () => {
    const { structuredContent } = await ask({ args: ['demo', 'text', '--count', '90000'] });
    const cursor = structuredContent?.['next_cursor'] as string;
    const stranger = await ask({ cursor }, { sub: 'user-2' as UserId, scopes: ['admin'] });
    const weaker = await ask({ cursor }, { scopes: ['anonymous'] });
    const invented = await ask({ cursor: `page:${'A'.repeat(22)}:0` });
    for (const answer of [stranger, weaker, invented]) expect(failure(answer)).toMatchObject({ code: 'NOT_FOUND' });
    expect((await ask({ cursor })).isError ?? false).toBe(false);
  });
});

describe('ending early', () => {
  /** Pids that the command and its child wrote. */
  async function family(file: string): Promise<number[]> {
    return await vi.waitFor(() => {
      const pids = [file, `${file}.child`].map((name) => (existsSync(name) ? Number(readFileSync(name, 'utf8')) : 0));
      expect(pids.every((pid) => pid > 1)).toBe(true);
      return pids;
    }, 10_000);
  }

  async function expectGone(pids: readonly number[]): Promise<void> {
    await vi.waitFor(async () => {
      for (const pid of pids) {
        const info = await processInfo(pid);
        expect(info === undefined || info.state === 'Z').toBe(true);
      }
    }, 8_000);
  }

  it('kills the whole group when the client cancels', async () => {
    const file = join(folder, 'cancelled');
    const client = await connect();
    const cancel = new AbortController();
    const call = client.callTool(
      { name: 'systemprompt', arguments: { args: ['demo', 'wait', file] } },
      CallToolResultSchema,
      {
        signal: cancel.signal,
      },
    );
    const outcome = expect(call).rejects.toThrow();
    const pids = await family(file);
    cancel.abort();
    await outcome;
    await expectGone(pids);
    await client.close();
  });

  it('kills the whole group when the caller is gone', async () => {
    const file = join(folder, 'gone');
    const client = await connect();
    const call = client
      .callTool({ name: 'systemprompt', arguments: { args: ['demo', 'wait', file] } })
      .catch(() => undefined);
    const pids = await family(file);
    await client.close();
    await call;
    await expectGone(pids);
  });

  it('kills the whole group on timeout, and says that the state is unknown', async () => {
    const file = join(folder, 'late');
    const answering = ask({ args: ['demo', 'wait', file], timeout_ms: 1_500 });
    const pids = await family(file);
    expect(failure(await answering)).toMatchObject({ code: 'TIMEOUT', hint: expect.stringMatching(/timeout_ms/) });
    await expectGone(pids);
  });
});

describe('the tool commands', () => {
  it('lists the topics, small', async () => {
    const answer = await ask({}, {}, 'commands');
    expect(answer.structuredContent).toMatchObject({
      type: 'list',
      items: [
        { id: 'demo', summary: expect.stringContaining('Commands for tests (echo, ') },
        { id: 'demo deep', summary: 'A topic within (destroy, write)' },
        { id: 'plugins mcp', summary: 'MCP servers and their tools (call)' },
      ],
    });
    expect(JSON.stringify(answer)).not.toContain('hidden');
    expect(JSON.stringify(answer).length).toBeLessThan(2_000);
  });

  it('describes a topic’s commands, and what the caller lacks', async () => {
    const answer = await ask({ topic: 'demo deep' }, {}, 'commands');
    const items = answer.structuredContent?.['items'] as {
      id: string;
      summary: string;
      data: Record<string, unknown>;
    }[];
    expect(items.map(({ id }) => id)).toEqual(['demo deep destroy', 'demo deep write']);
    expect(items[0]).toMatchObject({
      summary: expect.stringContaining("destructive; needs admin, which you don't have"),
      data: { effect: 'destructive', permission: 'admin', allowed: false },
    });
    const table = await ask({ topic: 'demo:table' }, {}, 'commands');
    expect(table.content[0]?.text).toContain('--count <value>: How many (required)');
    expect((await ask({ topic: 'demo echo' }, {}, 'commands')).content[0]?.text).toContain(
      '--kind <plain|fancy>: (default plain)',
    );
  });

  it('names the nearest topic', async () => {
    expect(failure(await ask({ topic: 'demo deeq' }, {}, 'commands'))).toMatchObject({
      code: 'NOT_FOUND',
      hint: expect.stringMatching(/demo deep/),
    });
  });
});
