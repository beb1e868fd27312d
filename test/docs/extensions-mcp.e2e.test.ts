import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadServices } from '../../src/lib/app/config/load-services.ts';
import { verifyIdentity } from '../../src/lib/infra/security/identity-header.ts';
import { type McpChild, startMcpChild } from '../helpers/mcp-child.ts';

const project = join(import.meta.dirname, '../..');
const guide = readFileSync(join(project, 'docs/extensions-mcp.md'), 'utf8');

/** The first block of code in a language. */
function block(language: string): string {
  const [, code] = new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\`$`, 'm').exec(guide) ?? [];
  if (code === undefined) throw new Error(`The guide has no ${language}`);
  return code;
}

describe('docs/extensions-mcp.md', () => {
  let folder: string;
  let server: McpChild;

  beforeAll(async () => {
    // A project of a user: the packages, the module and the YAML as the guide has them, and nothing else.
    folder = mkdtempSync(join(tmpdir(), 'guide-'));
    mkdirSync(join(folder, 'node_modules'));
    symlinkSync(project, join(folder, 'node_modules/systemprompt'));
    symlinkSync(join(project, 'node_modules/zod'), join(folder, 'node_modules/zod'));
    writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
    mkdirSync(join(folder, 'extensions/mcp/hello'), { recursive: true });
    writeFileSync(join(folder, 'extensions/mcp/hello/index.ts'), block('ts'));
    mkdirSync(join(folder, 'services/mcp'), { recursive: true });
    writeFileSync(join(folder, 'services/mcp/hello.yaml'), block('yaml'));
    const [config] = (await loadServices({ servicesDir: join(folder, 'services') })).mcpServers;
    if (config === undefined) throw new Error('The YAML of the guide holds no server');
    server = await startMcpChild({ name: config.name, extension: join(folder, config.module), root: folder });
  });
  afterAll(async () => {
    await server?.[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true, force: true });
  });

  it('has a server that works as it stands there', async () => {
    const client = new Client({ name: 'test', version: '1' });
    const routed: typeof fetch = (input, init) => {
      const headers = new Headers(init?.headers);
      for (const [name, value] of Object.entries(server.headers())) headers.set(name, value);
      return fetch(input, { ...init, headers });
    };
    await client.connect(
      new StreamableHTTPClientTransport(new URL(`${server.origin}/mcp`), { fetch: routed }) as never,
    );
    expect((await client.listTools()).tools.map(({ name }) => name)).toEqual(['greet', 'squares']);
    const greeted = await client.callTool({ name: 'greet', arguments: { name: 'Ada', loud: true } });
    expect(greeted.structuredContent).toEqual({ type: 'text', content: 'HELLO ADA, SAYS OWNER' });
    const counted = await client.callTool({ name: 'squares', arguments: { count: 3 } });
    expect(counted.structuredContent).toMatchObject({ items: [{}, {}, { n: 3, square: 9 }], count: 3 });
    const refused = await client.callTool({ name: 'greet', arguments: { name: ' ' } });
    expect(refused).toMatchObject({
      isError: true,
      content: [{ text: 'USAGE: The name is empty\nGive the name of a person' }],
    });
    await client.close();
  });

  it('has prompts, resources and templates that are served as they stand there', async () => {
    const module = `import { defineMcpServer, definePrompt, defineResource, defineResourceTemplate } from 'systemprompt/mcp';
import { z } from 'zod';
${block('typescript')}
export const server = defineMcpServer({ name: 'more', version: '1.0.0', description: 'x', prompts: [introduce], resources: [all], resourceTemplates: [note] });
`;
    writeFileSync(join(folder, 'extensions/mcp/more.ts'), module);
    await using more = await startMcpChild({
      name: 'more',
      extension: join(folder, 'extensions/mcp/more.ts'),
      root: folder,
    });
    const client = new Client({ name: 'test', version: '1' });
    const requestInit = { headers: more.headers() };
    await client.connect(new StreamableHTTPClientTransport(new URL(`${more.origin}/mcp`), { requestInit }) as never);
    const { messages } = await client.getPrompt({ name: 'introduce', arguments: { name: 'Ada' } });
    expect(messages).toMatchObject([{ content: { text: 'Introduce Ada in a friendly tone.' } }]);
    expect((await client.listResources()).resources.map(({ uri }) => uri)).toEqual(['notes://all', 'notes://note/one']);
    await client.close();
  });

  const key = /the key `([\w-]{43})`/.exec(guide)?.[1] ?? '';
  const run = /the run\s+`([\w-]{36})`/.exec(guide)?.[1] ?? '';

  it('has an identity header that the product itself believes', () => {
    const bytes = new Uint8Array(Buffer.from(key, 'base64url'));
    const identity = verifyIdentity(bytes, block('text').trim(), { instanceId: run, now: 1_700_000_030 });
    expect(identity).toMatchObject({ name: 'owner', scopes: ['user'] });
  });

  it('has Python that believes the same header, and no other', async () => {
    const check = [
      block('python'),
      'import sys',
      'assert identity(sys.argv[1], 1700000030)["name"] == "owner"',
      'for header, now in [(sys.argv[1], 1700000060), (sys.argv[1], 1699999994), (sys.argv[1][:-1] + "Z", 1700000030), (None, 1700000030)]:',
      '    try: identity(header, now)',
      '    except PermissionError: continue',
      '    raise SystemExit("believed what it must not")',
    ].join('\n');
    const env = { ...process.env, SYSTEMPROMPT_IDENTITY_KEY: key, SYSTEMPROMPT_SERVICE_INSTANCE: run };
    await promisify(execFile)('python3', ['-c', check, block('text').trim()], { env });
  });
});
