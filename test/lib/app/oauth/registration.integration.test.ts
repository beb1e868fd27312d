import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FetchRefusedError, type GuardedFetch } from '../../../../src/lib/infra/http/guarded-fetch.ts';
import { until } from '../../../helpers/identity.ts';
import { basic, type MachineProvider, openMachineProvider } from '../../../helpers/machine-provider.ts';

/** Documents as the world outside would answer, by address. */
const world = new Map<string, () => Promise<{ status?: number; body: unknown; headers?: Record<string, string> }>>();
const fetched: string[] = [];
const documentFetch: GuardedFetch = async (url, bounds) => {
  fetched.push(url);
  const found = await world.get(url)?.();
  if (found === undefined) throw new FetchRefusedError('nothing there');
  const body = Buffer.from(typeof found.body === 'string' ? found.body : JSON.stringify(found.body));
  if (body.length > bounds.maxBytes) throw new FetchRefusedError('too large');
  return { status: found.status ?? 200, headers: new Headers(found.headers), body };
};

let rig: MachineProvider;
beforeAll(async () => {
  rig = await openMachineProvider({ documentFetch });
});
afterAll(() => rig?.close());

async function register(metadata: unknown, headers: Record<string, string> = {}) {
  const response = await fetch(`${rig.issuer}/reg`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: typeof metadata === 'string' ? metadata : JSON.stringify(metadata),
  });
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}

/** Begins a sign-in: 303 leads to it, everything else is a refusal. */
async function authorize(client_id: string, redirect_uri: string): Promise<number> {
  const query = new URLSearchParams({
    client_id,
    redirect_uri,
    response_type: 'code',
    scope: 'openid',
    code_challenge: 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM',
    code_challenge_method: 'S256',
  });
  const response = await fetch(`${rig.issuer}/auth?${query}`, { redirect: 'manual' });
  await response.text();
  return response.status;
}

const callback = 'https://app.example/callback';

describe('a client that registers itself', () => {
  it('gets an id of ours and, unless it is public, a secret that is shown once', async () => {
    const { status, body } = await register({ redirect_uris: [callback], client_name: 'App' });
    expect(status).toBe(201);
    expect(body.client_id).toMatch(/^dyn_[\w-]{22}$/);
    expect(body.client_secret).toMatch(/^[\w-]{43}$/);
    expect(body).not.toHaveProperty('registration_access_token');
    expect(body).not.toHaveProperty('systemprompt_kind');
    expect(await authorize(String(body.client_id), callback)).toBe(303);
    expect(await rig.clients.secretMatches(String(body.client_id), String(body.client_secret))).toBe(true);
    const sql = "SELECT address FROM identity_events WHERE type = 'client_registered' AND client_id = $1";
    const told = await rig.test.database.query(sql, [body.client_id]);
    expect(told).toEqual([{ address: '203.0.113.5' }]);
    const open = await register({ redirect_uris: [callback], token_endpoint_auth_method: 'none' });
    expect(open.body).not.toHaveProperty('client_secret');
    expect(open.body.token_endpoint_auth_method).toBe('none');
  });

  it('auth 55: is not there when it could not be put on record', async () => {
    const { owner } = rig.test;
    const clients = async () => (await owner.query("SELECT FROM oauth_clients WHERE kind = 'dynamic'")).length;
    const before = await clients();
    await owner.query(
      "ALTER TABLE identity_events ADD CONSTRAINT broken CHECK (type <> 'client_registered') NOT VALID",
    );
    try {
      const { status } = await register({ redirect_uris: [callback], client_name: 'App' });
      expect(status).toBeGreaterThanOrEqual(500);
    } finally {
      await owner.query('ALTER TABLE identity_events DROP CONSTRAINT broken');
    }
    expect(await clients()).toBe(before);
  });

  it('auth 25: obtains nothing but codes and refresh tokens, whatever it asks for', async () => {
    const wanted = [
      'authorization_code',
      'refresh_token',
      'client_credentials',
      'urn:ietf:params:oauth:grant-type:token-exchange',
      'urn:ietf:params:oauth:grant-type:device_code',
      'urn:ietf:params:oauth:grant-type:jwt-bearer',
      'implicit',
      'password',
    ];
    const { status, body } = await register({
      redirect_uris: [callback],
      grant_types: wanted,
      response_types: ['code', 'token'],
      client_id: 'systemprompt-cli',
      client_secret: 'mine',
      systemprompt_kind: 'builtin',
      scope: 'tools:read admin',
      server: 'alpha',
      sector_identifier_uri: 'https://app.example/sector',
    });
    expect(status).toBe(201);
    expect(body.grant_types).toEqual(['authorization_code', 'refresh_token']);
    expect(body.response_types).toEqual(['code']);
    expect(body.client_id).not.toBe('systemprompt-cli');
    expect(body.client_secret).not.toBe('mine');
    expect(body).not.toHaveProperty('scope');
    expect(body).not.toHaveProperty('sector_identifier_uri');
    const stored = await rig.clients.client(String(body.client_id));
    expect(stored).toMatchObject({ kind: 'dynamic', targets: [] });
    expect(stored).not.toHaveProperty('server');
    const client = { id: String(body.client_id), secret: String(body.client_secret) };
    for (const grant_type of wanted.slice(2)) {
      const { status: refused } = await rig.token({ grant_type, scope: 'user' }, client);
      expect(refused, grant_type).toBe(400);
    }
    const asked = await rig.post('/token/introspection', { token: 'a.b.c' }, basic(client));
    expect(asked.body).toEqual({ active: false });
    for (const grants of [['client_credentials'], ['refresh_token'], ['implicit']]) {
      expect((await register({ redirect_uris: [callback], grant_types: grants })).status, String(grants)).toBe(400);
    }
  });

  it('auth 3: is sent back only by https, to this machine, or to a program of its own', async () => {
    const kindOf = async (...redirect_uris: string[]) => {
      const { status, body } = await register({ redirect_uris, token_endpoint_auth_method: 'none' });
      return status === 201 ? body.application_type : body.error;
    };
    expect(await kindOf(callback)).toBe('web');
    expect(await kindOf('http://127.0.0.1/cb')).toBe('native');
    expect(await kindOf('http://localhost:3000/cb', callback)).toBe('native');
    expect(await kindOf('cursor://app/callback')).toBe('native');
    expect(await kindOf('com.example.app:/callback')).toBe('native');
    for (const uri of [
      'http://evil.example/cb',
      'http://127.0.0.1.evil.example/cb',
      'javascript:alert(1)',
      'data:text/html,x',
      'file:///etc/passwd',
      'mailto:a@b.example',
      'wss://evil.example/',
      'https://user@app.example/cb',
      'https://app.example/cb#fragment',
      'not a uri',
    ]) {
      expect(await kindOf(uri), uri).toMatch(/^invalid_(redirect_uri|client_metadata)$/);
    }
    expect((await register({ redirect_uris: [] })).status).toBe(400);
    expect((await register({ client_name: 'none' })).status).toBe(400);
    const ported = await register({ redirect_uris: ['http://127.0.0.1/cb'], token_endpoint_auth_method: 'none' });
    expect(await authorize(String(ported.body.client_id), 'http://127.0.0.1:51234/cb')).toBe(303);
    expect(await authorize(String(ported.body.client_id), 'http://127.0.0.1:51234/other')).toBe(400);
    expect(await authorize(String(ported.body.client_id), 'http://localhost:51234/cb')).toBe(400);
  });

  it('auth 26: is bounded in size and number, and answered by an RFC error', async () => {
    const many = Array.from({ length: 11 }, (_, at) => `https://app.example/${at}`);
    const refused: unknown[] = [
      { redirect_uris: many },
      { redirect_uris: [`https://app.example/${'x'.repeat(2001)}`] },
      { redirect_uris: [callback], client_name: 'x'.repeat(101) },
      { redirect_uris: [callback], contacts: Array.from({ length: 11 }, () => 'a@b.example') },
      {
        redirect_uris: [callback],
        token_endpoint_auth_method: 'private_key_jwt',
        jwks_uri: 'https://app.example/jwks',
      },
      { redirect_uris: 'x' },
      { redirect_uris: [1, {}] },
      [],
      'null',
      '"x"',
      '{',
    ];
    for (const metadata of refused) expect((await register(metadata)).status, JSON.stringify(metadata)).toBe(400);
    expect((await register({ redirect_uris: [callback], software_statement: 'x'.repeat(17_000) })).status).toBe(413);
    const chunked = await fetch(`${rig.issuer}/reg`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: new Blob(['{}']).stream(),
      duplex: 'half',
    } as RequestInit);
    expect(chunked.status).toBe(411);
  });

  it('auth 26: finds no more room after so many from one network, or in all', async () => {
    const limits = async (registration: object) => {
      const other = await openMachineProvider({ registration });
      try {
        const ask = () =>
          fetch(`${other.issuer}/reg`, {
            method: 'POST',
            headers: { 'content-type': 'application/json' },
            body: JSON.stringify({ redirect_uris: [callback] }),
          });
        const answers = [await ask(), await ask(), await ask()];
        return answers.map(({ status, headers }) => [status, headers.get('retry-after')]);
      } finally {
        await other.close();
      }
    };
    const [perNetwork, inAll] = await Promise.all([limits({ perNetworkPerHour: 2 }), limits({ maxClients: 2 })]);
    expect(perNetwork).toEqual([
      [201, null],
      [201, null],
      [429, '3600'],
    ]);
    expect(inAll).toEqual([
      [201, null],
      [201, null],
      [503, '3600'],
    ]);
  });

  it('is turned away where registration is off', async () => {
    const off = await openMachineProvider({ registration: { mode: 'off' } });
    try {
      const discovery = await (await fetch(`${off.issuer}/.well-known/oauth-authorization-server`)).json();
      expect(discovery).not.toHaveProperty('registration_endpoint');
      expect(discovery).toMatchObject({ client_id_metadata_document_supported: true });
      expect((await fetch(`${off.issuer}/reg`, { method: 'POST', body: '{}' })).status).toBe(404);
    } finally {
      await off.close();
    }
  });
});

describe('a client that publishes a document of itself', () => {
  const publish = (id: string, more: object = {}, headers = {}) => {
    const document = { client_id: id, client_name: 'App', redirect_uris: [callback], ...more };
    world.set(id, async () => ({ body: document, headers }));
    return id;
  };
  const count = (id: string) => fetched.filter((url) => url === id).length;

  it('is known by its address, without having said how it signs in, and is fetched once', async () => {
    const id = publish('https://app.example/client.json', {
      grant_types: ['authorization_code', 'client_credentials'],
    });
    expect(await authorize(id, callback)).toBe(303);
    expect(await authorize(id, callback)).toBe(303);
    expect(await authorize(id, 'https://evil.example/callback')).toBe(400);
    expect(count(id)).toBe(1);
    const answer = await rig.token({ grant_type: 'client_credentials', client_id: id });
    expect(answer.status).toBe(400);
    const native = publish('https://cli.example/client.json', { redirect_uris: ['http://localhost/callback'] });
    expect(await authorize(native, 'http://localhost:4711/callback')).toBe(303);
    const grand = publish('https://app.example/grand.json', { systemprompt_kind: 'builtin', scope: 'admin' });
    expect(await authorize(grand, callback)).toBe(303);
    expect(await rig.provider.Client.find(grand)).toMatchObject({ systemprompt_kind: 'document' });
  });

  it('auth 27: is refused when its address or its document is not in order', async () => {
    const addresses = [
      'http://app.example/client.json',
      'https://app.example',
      'https://app.example/',
      'https://app.example/client.json#part',
      'https://user@app.example/client.json',
      'https://app.example/../client.json',
      'https://app.example/a/%2e%2e/client.json',
      'https://app.example:8443/client.json',
      'https://127.0.0.1/client.json',
      'https://2130706433/client.json',
      'https://[::1]/client.json',
      'https://localhost/client.json',
      'https://intranet/client.json',
      'https://printer.local/client.json',
      'https://metadata.google.internal/client.json',
      `https://app.example/${'x'.repeat(600)}`,
    ];
    fetched.length = 0;
    for (const id of addresses) {
      world.set(id, async () => ({ body: { client_id: id, redirect_uris: [callback] } }));
      expect(await authorize(id, callback), id).toBe(400);
    }
    expect(fetched).toEqual([]);
    const document = { redirect_uris: [callback] };
    const documents: Record<string, () => { status?: number; body: unknown; headers?: Record<string, string> }> = {
      'another-id': () => ({ body: { ...document, client_id: 'https://app.example/other' } }),
      moved: () => ({ status: 302, body: '', headers: { location: 'https://app.example/good' } }),
      missing: () => ({ status: 404, body: '' }),
      large: () => ({ body: { ...document, client_id: 'https://bad.example/large', tos_uri: 'x'.repeat(5200) } }),
      text: () => ({ body: '<html>' }),
      list: () => ({ body: [] }),
      secret: () => ({ body: { ...document, client_id: 'https://bad.example/secret', client_secret: 'x' } }),
      basic: () => ({
        body: {
          ...document,
          client_id: 'https://bad.example/basic',
          token_endpoint_auth_method: 'client_secret_basic',
        },
      }),
      'plain-http': () => ({
        body: { client_id: 'https://bad.example/plain-http', redirect_uris: ['http://evil.example/'] },
      }),
    };
    for (const [name, answer] of Object.entries(documents)) {
      const id = `https://bad.example/${name}`;
      world.set(id, async () => answer());
      expect(await authorize(id, callback), name).toBe(400);
      expect(count(id), name).toBe(1);
    }
  });

  it('auth 29: is fetched once for all that wait; one that is no good is left alone for a while', async () => {
    let open: (() => void) | undefined;
    const id = 'https://slow.example/client.json';
    const gate = new Promise<void>((done) => {
      open = done;
    });
    world.set(id, async () => {
      await gate;
      return { body: { client_id: id, redirect_uris: [callback] } };
    });
    const waiting = Array.from({ length: 5 }, () => authorize(id, callback));
    await until('it is asked for', () => count(id) > 0);
    // Meanwhile the others sign in.
    expect(await authorize(publish('https://quick.example/client.json'), callback)).toBe(303);
    expect(await authorize('systemprompt-cli', 'http://127.0.0.1:9/callback')).toBe(303);
    open?.();
    expect(await Promise.all(waiting)).toEqual([303, 303, 303, 303, 303]);
    expect(count(id)).toBe(1);
    const bad = 'https://bad.example/gone';
    for (let turn = 0; turn < 3; turn++) expect(await authorize(bad, callback)).toBe(400);
    expect(count(bad)).toBe(1);
  });

  it('auth 29: has to wait its turn when many are fetched, from one host or in all', async () => {
    const openers: (() => void)[] = [];
    const slow = (id: string) => {
      world.set(id, async () => {
        await new Promise<void>((done) => openers.push(done));
        return { body: { client_id: id, redirect_uris: [callback] } };
      });
      return authorize(id, callback);
    };
    fetched.length = 0;
    const ofOne = [1, 2, 3].map((at) => slow(`https://one.example/${at}`));
    expect(await Promise.race(ofOne)).toBe(400);
    const ofMany = [1, 2, 3, 4, 5, 6, 7].map((at) => slow(`https://host${at}.example/client`));
    expect(await Promise.race(ofMany)).toBe(400);
    await until('as many as may are fetched', () => fetched.length === 8);
    for (const open of openers) open();
    expect((await Promise.all([...ofOne, ...ofMany])).filter((status) => status === 303)).toHaveLength(8);
  });

  it('auth 30: is judged by the settings of now, though its document is remembered', async () => {
    const hosts = ['app.example', '*.partner.example'];
    const other = await openMachineProvider({ documentFetch, hosts });
    const ask = async (id: string) => {
      const found = await other.provider.Client.find(publish(id)).catch(() => undefined);
      return found?.clientId;
    };
    try {
      expect(await ask('https://app.example/listed')).toBeDefined();
      expect(await ask('https://a.partner.example/listed')).toBeDefined();
      expect(await ask('https://partner.example/listed')).toBeUndefined();
      expect(await ask('https://evil.example/listed')).toBeUndefined();
      hosts.splice(0, hosts.length, 'nobody.example');
      expect(await ask('https://app.example/listed')).toBeUndefined();
    } finally {
      await other.close();
    }
  });
});
