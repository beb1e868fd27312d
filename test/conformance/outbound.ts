import { randomUUID } from 'node:crypto';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { scopesOf } from '../../src/lib/app/upstream/oauth/challenge.ts';
import { type ClientStore, clientAt, type RegisteredClient } from '../../src/lib/app/upstream/oauth/client.ts';
import { discover } from '../../src/lib/app/upstream/oauth/discovery.ts';
import { upstreamHttp } from '../../src/lib/app/upstream/oauth/http.ts';
import { authorizationUrl, ownTokens, scopesToAsk, tokensForCode } from '../../src/lib/app/upstream/oauth/protocol.ts';
import { createGuardedFetch } from '../../src/lib/infra/http/guarded-fetch.ts';
import { bridgeRig } from '../helpers/bridge-rig.ts';

// What the conformance tool runs as the client: the server that it plays stands behind our bridge as one elsewhere, with our
// sign-ins, and a client of the other era, or of the same, speaks to the bridge. It allows all that it is asked at once.

const endpoint = process.argv.at(-1) ?? '';
const scenario = process.env['MCP_CONFORMANCE_SCENARIO'] ?? '';
const context = JSON.parse(process.env['MCP_CONFORMANCE_CONTEXT'] ?? '{}') as Readonly<Record<string, unknown>>;

const http = upstreamHttp(createGuardedFetch(), true);
const registered = new Map<string, RegisteredClient>();
const store: ClientStore = {
  find: async (issuer) => registered.get(issuer),
  keep: async (issuer, client) => void registered.set(issuer, client),
};
const { client_id: id, client_secret: secret } = context as { client_id?: string; client_secret?: string };
const presentation = {
  ...(id === undefined ? {} : { configured: { id, secret } }),
  redirectUri: 'http://localhost:3000/callback',
  documentUrl: 'https://conformance-test.local/client-metadata.json',
  home: 'https://conformance-test.local',
  store,
};

let had: readonly string[] = [];
let issuer: string | undefined;

/** As `UpstreamSignIns` does it, without its rows. */
async function signIn(wanted: readonly string[]) {
  const { resource, as, scopes: said } = await discover(http, { endpoint });
  const client = await clientAt(http, as, presentation);
  const before = as.issuer === issuer ? [...had, ...wanted] : wanted;
  const scopes = scopesToAsk([], said, before, as);
  const party = { http, as, client, resource };
  if (scenario === 'auth/client-credentials-basic') return (await ownTokens(party, scopes)).accessToken;
  const request = {
    redirectUri: presentation.redirectUri,
    state: randomUUID(),
    verifier: `${randomUUID()}${randomUUID()}`,
    scopes,
  };
  const answer = await fetch(await authorizationUrl(party, request), { redirect: 'manual' });
  const tokens = await tokensForCode(party, request, new URL(answer.headers.get('location') ?? 'none:'));
  had = tokens.scopes;
  issuer = as.issuer;
  return tokens.accessToken;
}

const rig = await bridgeRig({
  external: { endpoint, transport: 'auto', privateNetwork: true, auth: { type: 'none' } },
});

let token: string | undefined;
let signIns = 0;
const key = randomUUID();

/** What the router does: who calls, and the token; who may not yet signs in, and again where more is wanted. */
const governed = async (url: string | URL, init: RequestInit = {}): Promise<Response> => {
  for (;;) {
    const upstream =
      token === undefined
        ? { headers: { 'x-nothing': 'yet' }, key }
        : { headers: { authorization: `Bearer ${token}` }, key };
    const headers = { ...Object.fromEntries(new Headers(init.headers)), ...rig.headers({ upstream }) };
    const answer = await fetch(url, { ...init, headers });
    const [status, ...scopes] = (answer.headers.get('x-systemprompt-upstream-refused') ?? '').split(' ');
    if (status === '' || signIns >= 3) return answer;
    signIns += 1;
    token = await signIn(scopesOf(scopes.join(' ')));
  }
};

/** What each scenario wants to see done; without a list of its own every tool is called. */
async function run(): Promise<void> {
  const client = new Client(
    { name: 'outbound', version: '1.0.0' },
    {
      capabilities: { elicitation: { form: { applyDefaults: true } } },
      // The server of this one looks at every request: it must not hear of another era.
      versionNegotiation: { mode: scenario === 'request-metadata' ? 'auto' : 'legacy' },
    },
  );
  client.setRequestHandler('elicitation/create', async () => ({ action: 'accept', content: {} }));
  await client.connect(
    new StreamableHTTPClientTransport(new URL(`${rig.origin}/mcp`), { fetch: governed as typeof fetch }),
  );
  const { tools } = await client.listTools();
  const given = context['toolCalls'] as readonly { name: string; arguments: Record<string, unknown> }[] | undefined;
  const calls = given ?? tools.map(({ name }) => ({ name, arguments: name === 'add_numbers' ? { a: 5, b: 3 } : {} }));
  for (const call of calls) await client.callTool(call);
  await client.close();
}

await run().then(
  () => process.exit(0),
  (error: unknown) => {
    console.error(error);
    process.exit(1);
  },
);
