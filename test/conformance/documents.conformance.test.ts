import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { toNodeHandler } from '@modelcontextprotocol/node';
import { Client as ClientV1 } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport as TransportV1 } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { createMcpHandler, McpServer } from '@modelcontextprotocol/server';
import { decodeJwt } from 'jose';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import type { McpHandler } from '../../src/entry/api/dependencies.ts';
import { protectedResource } from '../../src/lib/app/resources.ts';
import { authenticate, challengeFor } from '../../src/lib/domain/auth/index.ts';
import { toAppError } from '../../src/lib/shared/errors.ts';
import { SignIn } from '../helpers/mcp-sign-in.ts';
import { type OAuthRig, openOAuthRig } from '../helpers/oauth-rig.ts';
import { Person } from '../helpers/person.ts';

// Documents of clients are fetched from public addresses alone, which a test has none of: in this process, and with one
// fetch replaced, everything else is as it is in a system.

const published = vi.hoisted(() => new Map<string, object>());
const fetched = vi.hoisted(() => [] as string[]);
vi.mock(import('../../src/lib/infra/http/guarded-fetch.ts'), async (original) => {
  const real = await original();
  return {
    ...real,
    createGuardedFetch: (...given) => {
      const guarded = real.createGuardedFetch(...given);
      return async (url, bounds) => {
        const document = published.get(url);
        if (document === undefined) return guarded(url, bounds);
        fetched.push(url);
        const headers = new Headers({ 'content-type': 'application/json' });
        return { status: 200, headers, body: Buffer.from(JSON.stringify(document)) };
      };
    },
  };
});

let rig: OAuthRig;
let ada: Person;
let alpha: URL;

beforeAll(async () => {
  rig = await openOAuthRig({ api: () => ({ mcp: { handle: (...exchange) => serve(...exchange) } }) });
  ada = new Person(rig.url, await rig.browser(await rig.user('ada')));
  alpha = new URL(rig.audience('alpha'));
});
afterAll(() => rig?.close());

const mcp = toNodeHandler(
  createMcpHandler(() => {
    const server = new McpServer({ name: 'alpha', version: '1.0.0' });
    server.registerTool('hello', {}, async () => ({ content: [{ type: 'text', text: 'hello' }] }));
    return server;
  }),
);

/** An MCP server of the SDK behind our sign-in. */
const serve: McpHandler['handle'] = async (request, response, name) => {
  const resource = rig.authorization.resources.byName(name);
  if (resource === undefined) throw new Error('There is no such server');
  try {
    await authenticate(rig.identity.verifier, request, resource.audience);
  } catch (error) {
    const challenge = challengeFor(toAppError(error), protectedResource(resource));
    if (challenge === undefined) throw error;
    response.writeHead(challenge.status, { 'www-authenticate': challenge.header }).end();
    return;
  }
  await mcp(request as never, response);
};

/** A client whose id is the address of its document; the port of its redirect is not in it (T16). */
async function documented(host: string): Promise<{ signIn: SignIn; documentUrl: string }> {
  const documentUrl = `https://${host}/oauth/metadata.json`;
  const signIn = await SignIn.of(ada, { documentUrl });
  published.set(documentUrl, {
    client_id: documentUrl,
    client_name: 'A documented client',
    redirect_uris: ['http://localhost/callback', 'http://127.0.0.1/callback'],
  });
  return { signIn, documentUrl };
}

function expectUnregistered(signIn: SignIn, documentUrl: string): void {
  expect(decodeJwt(signIn.kept?.access_token ?? '')).toMatchObject({ client_id: documentUrl, aud: alpha.href });
  expect(signIn.visits[0]?.searchParams.get('client_id')).toBe(documentUrl);
  expect(fetched.filter((url) => url === documentUrl)).toHaveLength(1);
}

it('a client of SDK v1 is known by its document, and is nowhere registered', async () => {
  const { signIn, documentUrl } = await documented('one.client.example');
  const transport = () => new TransportV1(alpha, { authProvider: signIn as never });
  const first = transport();
  await expect(new ClientV1({ name: 'c', version: '1' }).connect(first as never)).rejects.toThrow('Unauthorized');
  await first.finishAuth((await signIn.answer()).get('code') ?? '');
  const client = new ClientV1({ name: 'c', version: '1' });
  await client.connect(transport() as never);
  expect(await client.callTool({ name: 'hello', arguments: {} })).toMatchObject({ content: [{ text: 'hello' }] });
  expectUnregistered(signIn, documentUrl);
  await client.close();
});

it.each(['legacy', 'auto'] as const)('a client of SDK v2 (%s) likewise, and renews its token', async (mode) => {
  const { signIn, documentUrl } = await documented(`${mode}.client.example`);
  const transport = () => new StreamableHTTPClientTransport(alpha, { authProvider: signIn });
  const options = { versionNegotiation: { mode } };
  const first = transport();
  await expect(new Client({ name: 'c', version: '1' }, options).connect(first)).rejects.toThrow('Unauthorized');
  await first.finishAuth(await signIn.answer());
  const client = new Client({ name: 'c', version: '1' }, options);
  await client.connect(transport());
  const before = signIn.kept;
  if (before !== undefined) signIn.kept = { ...before, access_token: 'over' };
  expect(await client.callTool({ name: 'hello', arguments: {} })).toMatchObject({ content: [{ text: 'hello' }] });
  expect([client.getProtocolEra(), signIn.visits.length]).toEqual([mode === 'auto' ? 'modern' : 'legacy', 1]);
  expect(signIn.kept?.refresh_token).not.toBe(before?.refresh_token);
  expectUnregistered(signIn, documentUrl);
  await client.close();
});
