import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { callerToken, failure, SystempromptTool } from '../../../helpers/systemprompt-tool.ts';

let tool: SystempromptTool;

beforeAll(async () => {
  tool = await SystempromptTool.start();
});
afterAll(() => tool[Symbol.asyncDispose]());

const admin = { scopes: ['admin'] };

describe('the tool systemprompt', () => {
  it('says honestly what it may do', async () => {
    const client = await tool.connect();
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
    const byArgs = await tool.ask({ args: words });
    expect(byArgs.structuredContent).toMatchObject({ type: 'text', content: 'a b|$(id)|*|; ls' });
    expect(byArgs.content[0]?.text).toContain('a b|$(id)|*|; ls');
    const byLine = await tool.ask({ command: `demo echo 'a b' "$(id)" \\* '; ls'` });
    expect(byLine.structuredContent).toMatchObject({ content: 'a b|$(id)|*|; ls' });
  });

  it('gives the command the token on a descriptor and none of the server’s secrets', async () => {
    const { structuredContent } = await tool.ask({ command: 'demo echo x --profile-less' });
    const data = structuredContent?.['data'] as {
      argv: string[];
      token: string;
      env: Record<string, string>;
      cwd: string;
    };
    expect(data.token).toBe(callerToken);
    expect(data.cwd).toBe(tool.folder);
    expect(data.argv.slice(0, 4)).toEqual(['demo', 'echo', '--json', '--non-interactive']);
    expect(data.env).toMatchObject({
      SYSTEMPROMPT_DEPTH: '1',
      SYSTEMPROMPT_NON_INTERACTIVE: '1',
      SYSTEMPROMPT_TOKEN_FD: '3',
      SYSTEMPROMPT_PROFILE: 'local',
      SYSTEMPROMPT_SERVICE_INSTANCE: tool.server.instanceId,
    });
    const elsewhere = JSON.stringify({ argv: data.argv, env: data.env });
    expect(elsewhere).not.toContain(callerToken);
    expect(elsewhere).not.toContain('canary-database');
    expect(data.env).not.toHaveProperty('SYSTEMPROMPT_IDENTITY_KEY');
    expect(tool.server.output()).not.toContain(callerToken);
  });

  it('passes on what a failed command says of itself', async () => {
    const answer = await tool.ask({ args: ['demo', 'fail'] });
    expect(failure(answer)).toEqual({
      code: 'NOT_FOUND',
      message: 'No such thing',
      hint: 'Look elsewhere',
      next: ['demo echo'],
    });
    expect(answer.content[0]?.text).toBe('NOT_FOUND: No such thing\nLook elsewhere\nNext:\n  demo echo');
  });

  it('keeps the lines of a command that streams', async () => {
    const { structuredContent } = await tool.ask({ args: ['demo', 'stream'] });
    expect(structuredContent).toMatchObject({
      type: 'text',
      content: '{"n":1}\n{"n":2}',
      data: { end: { content: 'end' } },
    });
  });

  it('says so when a command gives no result, or far too much', async () => {
    expect(failure(await tool.ask({ args: ['demo', 'garbage'] }))).toMatchObject({
      code: 'INTERNAL',
      message: expect.stringMatching(/exit code 1/),
    });
    expect(failure(await tool.ask({ args: ['demo', 'flood'] }))).toMatchObject({ code: 'TOO_LARGE' });
  });

  it('takes exactly one of args, command and cursor', async () => {
    for (const input of [{}, { args: ['a'], command: 'a' }, { args: ['a'], shell: true }]) {
      expect((await tool.ask(input)).isError).toBe(true);
    }
  });

  it('names what was probably meant when there is no such command', async () => {
    expect(failure(await tool.ask({ command: 'demo ecko x' }))).toMatchObject({ code: 'USAGE', next: ['demo echo'] });
    expect(failure(await tool.ask({ command: 'demo hidden' }))).toMatchObject({ code: 'USAGE' });
  });

  it('refuses another profile and drops what it sets itself', async () => {
    expect(failure(await tool.ask({ args: ['demo', 'echo', '--profile', 'prod'] }))).toMatchObject({ code: 'USAGE' });
    expect(failure(await tool.ask({ args: ['demo', 'echo', '--profile=prod'] }))).toMatchObject({ code: 'USAGE' });
    const { structuredContent } = await tool.ask({ args: ['--json', 'demo', 'echo', 'x', '--json', '--', '--json'] });
    expect(structuredContent).toMatchObject({
      data: { argv: ['demo', 'echo', '--json', '--non-interactive', 'x', '--', '--json'] },
    });
  });

  it('shows help without running anything', async () => {
    expect((await tool.ask({ command: 'demo deep destroy --help' })).structuredContent).toMatchObject({
      content: 'help for demo deep destroy',
    });
    expect((await tool.ask({ args: [] })).structuredContent).toMatchObject({ content: 'help for all' });
    expect((await tool.ask({ args: ['help', 'agents'] })).structuredContent).toMatchObject({
      content: 'the page agents',
    });
  });
});

describe('what the caller may do', () => {
  it('refuses without the permission, and names it', async () => {
    const refused = failure(await tool.ask({ command: 'demo deep write' }));
    expect(refused).toMatchObject({ code: 'FORBIDDEN', message: "demo deep write needs the permission 'admin'" });
    expect(refused?.hint).toContain('user');
    expect((await tool.ask({ command: 'demo deep write' }, admin)).structuredContent).toMatchObject({
      content: 'did write',
    });
  });

  it('destroys only for an admin who confirmed', async () => {
    const command = 'demo deep destroy';
    expect(failure(await tool.ask({ command, confirm: true }))).toMatchObject({
      code: 'FORBIDDEN',
      message: expect.stringMatching(/'admin'/),
    });
    expect(failure(await tool.ask({ command: `${command} --yes` }, admin))).toMatchObject({
      code: 'PRECONDITION',
      hint: expect.stringMatching(/confirm: true/),
    });
    const { structuredContent } = await tool.ask({ command, confirm: true }, admin);
    expect(structuredContent).toMatchObject({
      data: { argv: ['demo', 'deep', 'destroy', '--json', '--non-interactive', '--yes'] },
    });
  });

  it('does not run what belongs to the machine', async () => {
    expect(failure(await tool.ask({ command: 'demo local' }, admin))).toMatchObject({
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
      expect(failure(await tool.ask({ args }, admin))).toMatchObject({
        code: 'FORBIDDEN',
        message: expect.stringMatching(/from within itself/),
      });
    }
    const other = await tool.ask({ args: ['plugins', 'mcp', 'call', 'other', 'systemprompt'] });
    expect(other.structuredContent).toMatchObject({ content: 'called' });
  });

  it('runs nothing in a server that such a command started', async () => {
    await using inner = await tool.another({ SYSTEMPROMPT_DEPTH: '1' });
    const answer = await tool.ask({ command: 'demo echo x' }, {}, { from: inner });
    expect(failure(answer)).toMatchObject({
      code: 'FORBIDDEN',
      message: expect.stringContaining('itself started by a command'),
    });
  });

  it('runs nothing without delegation', async () => {
    const answer = await tool.ask({ command: 'demo echo x' }, {}, { delegated: false });
    expect(failure(answer)).toMatchObject({ code: 'PRECONDITION', hint: expect.stringContaining('delegate: true') });
  });
});

describe('the tool commands', () => {
  it('lists the topics, small', async () => {
    const answer = await tool.ask({}, {}, { tool: 'commands' });
    expect(answer.structuredContent).toMatchObject({
      type: 'list',
      items: [
        { id: 'demo', summary: expect.stringContaining('Commands for tests (echo, ') },
        { id: 'demo deep', summary: 'A topic within (destroy, write)' },
        { id: 'plugins mcp', summary: 'MCP servers and their tools (call)' },
        ...['environment', 'exit-codes', 'formatting', 'agents'].map((name) => ({ id: `help ${name}` })),
      ],
    });
    expect(JSON.stringify(answer)).not.toContain('hidden');
    expect(JSON.stringify(answer).length).toBeLessThan(2_000);
  });

  it('describes a topic’s commands, and what the caller lacks', async () => {
    const answer = await tool.ask({ topic: 'demo deep' }, {}, { tool: 'commands' });
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
    const table = await tool.ask({ topic: 'demo:table' }, {}, { tool: 'commands' });
    expect(table.content[0]?.text).toContain('--count <value>: How many (required)');
    expect((await tool.ask({ topic: 'demo echo' }, {}, { tool: 'commands' })).content[0]?.text).toContain(
      '--kind <plain|fancy>: (default plain)',
    );
  });

  it('names the nearest topic', async () => {
    expect(failure(await tool.ask({ topic: 'demo deeq' }, {}, { tool: 'commands' }))).toMatchObject({
      code: 'NOT_FOUND',
      hint: expect.stringMatching(/demo deep/),
    });
  });
});
