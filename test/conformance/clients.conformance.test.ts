import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Client, DpopSession, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { UnauthorizedError } from '@modelcontextprotocol/sdk/client/auth.js';
import { Client as ClientV1 } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport as TransportV1 } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { decodeJwt } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SignIn } from '../helpers/mcp-sign-in.ts';
import { Person } from '../helpers/person.ts';
import { type RunningSystem, startSystem } from '../helpers/running-system.ts';
import { runConformance } from './tool.ts';
import { withToken } from './with-token.ts';

// The official clients and the official conformance tool against a whole system, by nothing but its address.

const extension = join(import.meta.dirname, '../fixtures/extensions/desk.mjs');
let system: RunningSystem;
let owner: Person;
let desk: URL;

beforeAll(async () => {
  system = await startSystem(async ({ root }) => {
    mkdirSync(join(root, 'services/mcp'), { recursive: true });
    writeFileSync(
      join(root, 'services/mcp/desk.yaml'),
      `mcp_servers:
  desk:
    module: ${extension}
    port: 5873
    description: Tickets
    oauth: { scopes: [user, { name: desk:read, description: Read tickets, open: true }] }
    tools: { wipe: { scopes: [{ name: desk:wipe, description: Delete all tickets, sensitive: true }] } }
  team:
    type: virtual
    description: Tickets and more
    oauth: { scopes: [{ name: team:use, description: Use the team's tools, open: true }] }
    targets: [{ server: desk, prefix: t_ }]
`,
    );
  });
  desk = new URL(`${system.url}/api/v1/mcp/desk/mcp`);
  const { data } = await system.artifact<{ data: { url: string } }>('admin', 'users', 'link');
  owner = await Person.setUp(data.url);
}, 120_000);
afterAll(() => system?.[Symbol.asyncDispose]());

const info = { name: 'conformance', version: '1.0.0' };
const textOf = (result: unknown) => (result as { content: { text: string }[] }).content[0]?.text;
const scopesOf = (signIn: SignIn) =>
  String(decodeJwt(signIn.kept?.access_token ?? '')['scope'])
    .split(' ')
    .sort();

describe('the client of SDK v1', () => {
  it('registers, has its user sign in and consent, and calls; a token that is over is renewed', async () => {
    const signIn = await SignIn.of(owner);
    const transport = () => new TransportV1(desk, { authProvider: signIn as never });
    const first = transport();
    await expect(new ClientV1(info).connect(first as never)).rejects.toThrow(UnauthorizedError);
    await first.finishAuth((await signIn.answer()).get('code') ?? '');

    const client = new ClientV1(info);
    await client.connect(transport() as never);
    expect(textOf(await client.callTool({ name: 'whoami', arguments: {} }))).toBe('owner');
    expect([signIn.registrations, signIn.visits.length]).toEqual([1, 1]);
    expect(scopesOf(signIn)).toEqual(['desk:read', 'user']);
    expect(decodeJwt(signIn.kept?.access_token ?? '')).toMatchObject({ aud: desk.href, iss: system.url });

    const before = signIn.kept;
    if (before !== undefined) signIn.kept = { ...before, access_token: `${before.access_token.slice(0, -8)}AAAAAAAA` };
    expect(textOf(await client.callTool({ name: 'read', arguments: {} }))).toBe('three tickets');
    expect(signIn.kept?.refresh_token).not.toBe(before?.refresh_token);
    expect(signIn.visits.length).toBe(1);
    await client.close();
  });
});

it('one sign-in at a virtual server is good for its targets, and for no more than was asked', async () => {
  const signIn = await SignIn.of(owner);
  const team = new URL(`${system.url}/api/v1/mcp/team/mcp`);
  const transport = () => new TransportV1(team, { authProvider: signIn as never });
  const first = transport();
  await expect(new ClientV1(info).connect(first as never)).rejects.toThrow(UnauthorizedError);
  await first.finishAuth((await signIn.answer()).get('code') ?? '');
  expect(scopesOf(signIn)).toEqual(['desk:read', 'team:use', 'user']);
  const client = new ClientV1(info);
  await client.connect(transport() as never);
  expect((await client.listTools()).tools.map(({ name }) => name).sort()).toEqual(['t_read', 't_whoami']);
  expect(textOf(await client.callTool({ name: 't_whoami', arguments: {} }))).toBe('owner');
  expect([signIn.visits.length, decodeJwt(signIn.kept?.access_token ?? '')['aud']]).toEqual([1, team.href]);
  // The token opens the virtual server alone.
  const direct = new TransportV1(desk, {
    requestInit: { headers: { authorization: `Bearer ${signIn.kept?.access_token}` } },
  });
  await expect(new ClientV1(info).connect(direct as never)).rejects.toThrow();
  await client.close();
});

describe.each([
  ['legacy', { mode: 'legacy' }, '2025-11-25'],
  ['modern', { mode: { pin: '2026-07-28' } }, '2026-07-28'],
] as const)('the client of SDK v2, %s era', (era, versionNegotiation, version) => {
  it('registers, signs in, and asks for more when a tool needs it', async () => {
    const signIn = await SignIn.of(owner, { ticks: ['desk:wipe'] });
    const transport = () => new StreamableHTTPClientTransport(desk, { authProvider: signIn });
    const first = transport();
    await expect(new Client(info, { versionNegotiation }).connect(first)).rejects.toThrow('Unauthorized');
    await first.finishAuth(await signIn.answer());

    const client = new Client(info, { versionNegotiation });
    const second = transport();
    await client.connect(second);
    expect([client.getProtocolEra(), client.getNegotiatedProtocolVersion()]).toEqual([era, version]);
    expect((await client.listTools()).tools.map(({ name }) => name).sort()).toEqual(['read', 'whoami']);
    expect(textOf(await client.callTool({ name: 'whoami', arguments: {} }))).toBe('owner');
    expect(scopesOf(signIn)).toEqual(['desk:read', 'user']);

    // 403 insufficient_scope: the client asks for what it has and what is missing.
    await expect(client.callTool({ name: 'wipe', arguments: {} })).rejects.toThrow('Unauthorized');
    await second.finishAuth(await signIn.answer());
    expect(textOf(await client.callTool({ name: 'wipe', arguments: {} }))).toBe('all gone');
    expect(scopesOf(signIn)).toEqual(['desk:read', 'desk:wipe', 'user']);
    expect([signIn.registrations, signIn.visits.length]).toEqual([1, 2]);
    await client.close();
  });
});

describe('the client of SDK v2 with a key of its own', () => {
  it('gets tokens that are bound to it, and shows a fresh proof with each call (auth 23)', async () => {
    const dpop = await DpopSession.create();
    const signIn = await SignIn.of(owner, { dpop });
    const transport = () => new StreamableHTTPClientTransport(desk, { authProvider: signIn });
    const first = transport();
    await expect(new Client(info).connect(first)).rejects.toThrow('Unauthorized');
    await first.finishAuth(await signIn.answer());
    const client = new Client(info);
    await client.connect(transport());
    for (const _ of [1, 2]) expect(textOf(await client.callTool({ name: 'whoami', arguments: {} }))).toBe('owner');
    expect(signIn.kept?.token_type).toBe('DPoP');
    expect(decodeJwt(signIn.kept?.access_token ?? '')).toMatchObject({ cnf: { jkt: dpop.thumbprint } });
    await client.close();
    const stolen = new StreamableHTTPClientTransport(desk, {
      authProvider: { token: async () => signIn.kept?.access_token },
    });
    await expect(new Client(info).connect(stolen)).rejects.toThrow('Unauthorized');
  });
});

describe.each(['2025-11-25', '2026-07-28'])('the conformance tool, for %s', (version) => {
  it('finds nothing wrong with the authorization server', async () => {
    const checks = await runConformance(
      'authorization',
      ['--url', system.url, '--resource', desk.href, '--spec-version', version],
      { client: await registered(), open: (address) => owner.allow(address) },
    );
    expect(checks).toEqual({
      'authorization-server-metadata': 'SUCCESS',
      'authorization-server-metadata-cimd': 'SUCCESS',
      'authorization-code-grant': 'SUCCESS',
    });
  });

  it('finds its own way barred where another name is given for this machine', async () => {
    await using shim = await withToken(desk, await system.token('--server', 'desk'));
    const flags = ['--url', shim.url, '--spec-version', version, '--scenario', 'dns-rebinding-protection'];
    expect(await runConformance('server', flags)).toMatchObject({
      'localhost-host-rebinding-rejected': 'SUCCESS',
      'localhost-host-valid-accepted': 'SUCCESS',
    });
  });
});

/** A public client that is answered at the tool's port (T34). */
async function registered(): Promise<{ id: string; port: number }> {
  const { clientMetadata, redirectUrl } = await SignIn.of(owner);
  const { port } = new URL(redirectUrl);
  const answer = await fetch(`${system.url}/api/v1/core/oauth/register`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ ...clientMetadata, redirect_uris: [`http://127.0.0.1:${port}/callback`] }),
  });
  const { client_id: id } = (await answer.json()) as { client_id: string };
  return { id, port: Number(port) };
}
