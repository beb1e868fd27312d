import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pino from 'pino';
import type { ApiDependencies } from '../../src/entry/api/dependencies.ts';
import { oauthHandler } from '../../src/entry/api/oauth-door.ts';
import { type Identity, mcpAudience, openIdentity } from '../../src/lib/app/identity.ts';
import { type Authorization, openAuthorization } from '../../src/lib/app/oauth/open.ts';
import type { OAuthPages } from '../../src/lib/app/oauth/pages.ts';
import { openAccount } from '../../src/lib/app/open-account.ts';
import { openPeople, type People } from '../../src/lib/app/people/open.ts';
import { resourceServers } from '../../src/lib/app/resources.ts';
import { OAuthServers } from '../../src/lib/app/upstream/oauth/servers.ts';
import type { ClientMetadata } from '../../src/lib/domain/auth/index.ts';
import { mcpServersSchema, toServerConfig } from '../../src/lib/domain/mcp/index.ts';
import { createLocalInstance } from '../../src/lib/infra/config/instance.ts';
import { profileFileSchema } from '../../src/lib/infra/config/profile-schema.ts';
import { openSecretStore } from '../../src/lib/infra/config/secrets.ts';
import { type Database, openDatabase } from '../../src/lib/infra/database/connection.ts';
import type { UserId } from '../../src/lib/shared/ids.ts';
import type { Permission } from '../../src/lib/shared/permission.ts';
import { startTestApi, type TestApi } from './api.ts';
import { type Answer, CookieBrowser } from './cookie-browser.ts';
import { createTestDatabase, type TestDatabase } from './database.ts';
import { freePort } from './free-port.ts';

/** Where the client `web` is answered. */
export const webRedirect = 'https://app.example/callback';
export const oauthBase = '/api/v1/core/oauth';

export interface OAuthRigOptions {
  /** `mcp_servers` of the configuration; `alpha` and `beta` unless told. */
  readonly servers?: object | ((url: string) => object);
  /** Of the profile's section `security`. */
  readonly security?: Readonly<Record<string, number>>;
  /** What the authorization server shows; JSON unless told. */
  readonly pages?: OAuthPages;
  /** Whether people sign in by its pages. */
  readonly people?: boolean;
  /** What the API stands on beside the authorization server. */
  readonly api?: (authorization: Authorization) => Partial<ApiDependencies>;
}

export interface Authorized {
  readonly code: string;
  readonly verifier: string;
  readonly redirect: URL;
}

export type Tokens = Readonly<Record<string, unknown>> & {
  readonly access_token: string;
  readonly refresh_token: string;
};

/** An authorization server with the API around it, in this process, on a database and a port of its own. */
export interface OAuthRig {
  /** The issuer. */
  readonly url: string;
  readonly database: Database;
  /** The same database as its owner, to arrange what the application's role may not. */
  readonly owner: Database;
  readonly testDatabase: TestDatabase;
  readonly identity: Identity;
  readonly secrets: Awaited<ReturnType<typeof openSecretStore>>;
  readonly authorization: Authorization;
  readonly api: TestApi;
  /** There with `people`. */
  readonly people: People | undefined;
  /** Where mails lie. */
  readonly outbox: string;
  /** The audience of a server. */
  audience(server: string): string;
  /** Adds a client with code and refresh; `web` (https), `cli` (loopback, with devices) are there. */
  client(id: string, metadata?: ClientMetadata): Promise<void>;
  user(name: string, roles?: readonly Permission[]): Promise<UserId>;
  /** A browser at which nobody, or the user, is signed in. */
  browser(userId?: UserId): Promise<CookieBrowser>;
  /** The address of a request for authorization, and the verifier of its challenge; `undefined` leaves a parameter out. */
  request(params?: Readonly<Record<string, string | undefined>>): {
    readonly address: string;
    readonly verifier: string;
  };
  /** Goes on from an interaction as its user would: signs in, allows everything that is asked or only `scopes`. */
  answer(browser: CookieBrowser, at: Answer, scopes?: readonly string[]): Promise<Answer>;
  /** From the request to the client's address, all of it allowed. */
  authorize(browser: CookieBrowser, params?: Readonly<Record<string, string | undefined>>): Promise<Authorized>;
  /** One request to the token endpoint, by the client `web` unless told. */
  token(
    form: Readonly<Record<string, string | undefined>>,
    headers?: Readonly<Record<string, string>>,
  ): Promise<Answer>;
  /** Tokens of a new sign-in. */
  tokens(browser: CookieBrowser, params?: Readonly<Record<string, string | undefined>>): Promise<Tokens>;
  /** Another process: nothing in memory, the same database and secrets. */
  reopen(): Promise<Pick<OAuthRig, 'token' | 'close'>>;
  close(): Promise<void>;
}

const servers = {
  alpha: {
    module: 'm',
    port: 5001,
    description: 'd',
    oauth: { scopes: ['user', { name: 'alpha:read', description: 'Read', open: true }] },
    tools: { wipe: { scopes: [{ name: 'alpha:wipe', description: 'Delete all', sensitive: true }] } },
  },
  beta: { module: 'm', port: 5002, description: 'd', oauth: { scopes: ['user'] } },
};
const place = { file: 'f', line: 1, column: 1 };
const lives = {
  access_token_ttl_seconds: 3600,
  authorization_code_ttl_seconds: 60,
  device_code_ttl_seconds: 600,
  refresh_idle_seconds: 3600,
  refresh_absolute_seconds: 7200,
  refresh_reuse_window_seconds: 30,
};

/** Pages that say in JSON what they would show. */
const plainPages: OAuthPages = {
  error: (problem) => shown('error', problem, problem.status),
  deviceCode: (view) => shown('device-code', view),
  deviceConfirm: (view) => shown('device-confirm', view),
  deviceDone: (view) => shown('device-done', view),
};

function shown(page: string, view: object, status = 200) {
  return { status, headers: { 'content-type': 'text/html; charset=utf-8' }, body: JSON.stringify({ page, ...view }) };
}

export async function openOAuthRig(options: OAuthRigOptions = {}): Promise<OAuthRig> {
  const root = await mkdtemp(join(tmpdir(), 'sp-oauth-'));
  const [testDatabase, port, instance] = await Promise.all([
    createTestDatabase(),
    freePort(),
    createLocalInstance(root),
  ]);
  const secrets = await openSecretStore(instance);
  const url = `http://localhost:${port}`;
  const profile = {
    server: { external_url: url, trusted_proxies: [] },
    security: { ...lives, ...options.security, issuer: url },
  };
  const owner = openDatabase(testDatabase.owner, { poolSize: 2 });
  const database = openDatabase(testDatabase.app, { poolSize: 10, actor: 'system' });
  for (const each of [owner, database]) each.onError(() => {}); // tests take the database away on purpose
  const configured = mcpServersSchema.parse(
    typeof options.servers === 'function' ? options.servers(url) : (options.servers ?? servers),
  );
  const configs = Object.entries(configured).map(([name, yaml]) => toServerConfig(name, yaml, place, () => place));
  const resources = resourceServers(configs, { externalUrl: url, maxTtlSeconds: lives.access_token_ttl_seconds });
  const identity = await openIdentity({ database, secrets, profile, resources });
  const lines: string[] = [];
  const log = pino({ level: 'trace' }, { write: (line: string) => void lines.push(line) });
  const pages = options.pages ?? plainPages;
  const oauth = new OAuthServers({ servers: configs, secrets, externalUrl: url });
  const parts = { database, secrets, identity, profile, servers: configs, pages, log };
  const people =
    options.people === true ? await openPeople({ ...parts, instance, profile: peopleProfile(url) }) : undefined;
  const serve = async (at: number) => {
    const authorization = await openAuthorization(parts);
    const deps = {
      externalUrl: url,
      issuer: url,
      resources,
      oauth: oauthHandler(authorization, pages),
      ...(people === undefined
        ? {}
        : {
            people,
            account: openAccount({
              database,
              identity,
              people,
              authorization,
              servers: configs,
              oauth,
              sealer: secrets,
              maxTokenDays: 365,
            }),
          }),
      ...options.api?.(authorization),
    };
    return { authorization, api: await startTestApi(identity.verifier, deps, { port: at }) };
  };
  const { authorization, api } = await serve(port);
  const { server } = authorization;
  const tokenAt =
    (origin: string): OAuthRig['token'] =>
    (form, headers = {}) =>
      new CookieBrowser(origin).ask(`${oauthBase}/token`, {
        form: given({ client_id: 'web', ...form }),
        headers: { accept: 'application/json', host: new URL(url).host, ...headers },
      });

  const rig: OAuthRig = {
    url,
    database,
    owner,
    testDatabase,
    identity,
    secrets,
    authorization,
    people,
    outbox: join(instance.dir, 'outbox'),
    api: { ...api, log: () => api.log() + lines.join('') },
    audience: (name) => mcpAudience(url, name),
    client: async (id, metadata = {}) => {
      const kept = {
        redirect_uris: [webRedirect],
        grant_types: ['authorization_code', 'refresh_token'],
        response_types: ['code'],
        token_endpoint_auth_method: 'none',
        ...metadata,
      };
      await owner.query("INSERT INTO oauth_clients (id, kind, name, metadata) VALUES ($1, 'registered', $1, $2)", [
        id,
        JSON.stringify(kept),
      ]);
    },
    user: async (name, roles = ['user']) => {
      const [row] = await owner.query<{ id: string }>(
        'INSERT INTO users (name, display_name, roles) VALUES ($1, $1, $2) RETURNING id',
        [name, roles],
      );
      return row?.id as UserId;
    },
    browser: async (userId) => {
      const browser = new CookieBrowser(url);
      if (userId === undefined) return browser;
      const response = {
        appendHeader: (name: string, value: string) => name === 'set-cookie' && browser.keep([value]),
      };
      await authorization.browser.begin({ headers: {} }, response, { userId, methods: ['passkey'] });
      return browser;
    },
    request: (params = {}) => {
      const verifier = randomBytes(32).toString('base64url');
      const all = {
        client_id: 'web',
        response_type: 'code',
        redirect_uri: webRedirect,
        code_challenge: createHash('sha256').update(verifier).digest('base64url'),
        code_challenge_method: 'S256',
        state: 'st',
        resource: mcpAudience(url, 'alpha'),
        ...params,
      };
      return { verifier, address: `${oauthBase}/authorize?${new URLSearchParams(given(all))}` };
    },
    answer: async (browser, at, scopes) => {
      let answer = at;
      for (let steps = 0; steps < 5; steps += 1) {
        const path = new URL(answer.url).pathname;
        if (!path.startsWith('/auth/interaction/')) return answer;
        const { request, response } = exchange(browser, url, path);
        const { interactions } = server;
        const waiting = await interactions.find(request, response);
        const there = await authorization.browser.current(request);
        if (waiting.prompt === 'login' && there === undefined) throw new Error('Nobody is signed in at this browser');
        const asked = waiting.resources.map(
          ({ resource, asked: names }) =>
            [
              resource.audience,
              names.map(({ name }) => name).filter((name) => scopes?.includes(name) ?? true),
            ] as const,
        );
        const next =
          waiting.prompt === 'login' && there !== undefined
            ? await interactions.login(request, response, there)
            : await interactions.consent(request, response, new Map(asked));
        answer = await browser.follow(next);
      }
      return answer;
    },
    authorize: async (browser, params) => {
      const { address, verifier } = rig.request(params);
      const end = await rig.answer(browser, await browser.follow(address));
      const redirect = new URL(end.headers.location ?? 'none:');
      const code = redirect.searchParams.get('code');
      if (code === null) throw new Error(`There is no code: ${end.status} ${end.headers.location} ${end.text}`);
      return { code, verifier, redirect };
    },
    token: tokenAt(url),
    tokens: async (browser, params) => {
      const { code, verifier } = await rig.authorize(browser, params);
      const answer = await rig.token({
        grant_type: 'authorization_code',
        code,
        code_verifier: verifier,
        redirect_uri: params?.['redirect_uri'] ?? webRedirect,
        client_id: params?.['client_id'] ?? 'web',
      });
      if (answer.status !== 200) throw new Error(`There are no tokens: ${answer.status} ${answer.text}`);
      return answer.json() as Tokens;
    },
    reopen: async () => {
      const another = await serve(0);
      const close = async () => {
        await another.api.close();
        await another.authorization.close();
      };
      return { token: tokenAt(`http://localhost:${another.api.endpoint.port}`), close };
    },
    close: async () => {
      await api.close();
      await people?.close();
      await authorization.close();
      await identity.close();
      await Promise.all([database.close(), owner.close()]);
      await testDatabase.drop();
      await rm(root, { recursive: true, force: true });
    },
  };
  await rig.client('web');
  await rig.client('cli', {
    application_type: 'native',
    redirect_uris: ['http://127.0.0.1/callback'],
    grant_types: ['authorization_code', 'refresh_token', 'urn:ietf:params:oauth:grant-type:device_code'],
  });
  return rig;
}

/** A profile as it is where nothing was set. */
function peopleProfile(url: string): Parameters<typeof openPeople>[0]['profile'] {
  const file = profileFileSchema.parse({});
  return {
    ...file,
    server: { ...file.server, external_url: url, host: 'localhost', https: {} },
    security: { ...file.security, issuer: url },
    runtime: { ...file.runtime, environment: 'development' },
  };
}

/** A request as the pages have it, with the cookies that the browser would send to that path. */
function exchange(browser: CookieBrowser, url: string, path: string) {
  const request = new IncomingMessage(new Socket());
  request.url = path;
  request.headers = { host: new URL(url).host, ...browser.cookieHeader(path) };
  return { request, response: new ServerResponse(request) };
}

function given(params: Readonly<Record<string, string | undefined>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(params).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
  );
}
