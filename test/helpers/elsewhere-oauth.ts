import { createHash, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What an authorization server elsewhere does otherwise than it should, or than most do. */
export interface Otherwise {
  metadata?: object;
  resource?: object;
  /** Parameters of its answers to browsers. */
  answer?: Record<string, string>;
  /** Its answer to a request for tokens. */
  token?: (form: URLSearchParams) => { status: number; body: object } | undefined;
  /** What happens before it answers one. */
  before?: () => Promise<void>;
}

export interface OAuthElsewhere extends AsyncDisposable {
  readonly origin: string;
  readonly endpoint: string;
  /** May be changed at any time. */
  readonly otherwise: Otherwise;
  /** Every request for tokens, revocations and registrations. */
  readonly asked: {
    readonly path: string;
    readonly form: URLSearchParams;
    readonly authorization: string | undefined;
  }[];
  /** Access tokens with their scopes. */
  readonly good: Map<string, string>;
  /** Consents at once. @returns where the browser is sent */
  visit(address: string): Promise<string>;
}

/** A server that wants tokens and the authorization server that gives them, both small and in this process. */
export async function oauthElsewhere(): Promise<OAuthElsewhere> {
  const otherwise: Otherwise = {};
  const asked: OAuthElsewhere['asked'] = [];
  const good = new Map<string, string>();
  const codes = new Map<string, { challenge: string; scope: string }>();
  const refresh = new Map<string, string>();
  const server = createServer((req, res) => void serve(req, res));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const json = (res: ServerResponse, body: object, status = 200, headers = {}) =>
    res.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
  const give = (scope: string) => {
    const [access, next] = [`at-${randomUUID()}`, `rt-${randomUUID()}`];
    good.set(access, scope);
    refresh.set(next, scope);
    return { access_token: access, refresh_token: next, token_type: 'Bearer', expires_in: 3600, scope };
  };

  /** What is read, by its path. */
  const documents: Readonly<Record<string, (query: URLSearchParams, res: ServerResponse) => unknown>> = {
    '/.well-known/oauth-protected-resource/mcp': (_, res) =>
      json(res, {
        resource: `${origin}/mcp`,
        authorization_servers: [origin],
        scopes_supported: ['read'],
        ...otherwise.resource,
      }),
    '/.well-known/oauth-authorization-server': (_, res) =>
      json(res, {
        issuer: origin,
        authorization_endpoint: `${origin}/authorize`,
        token_endpoint: `${origin}/token`,
        registration_endpoint: `${origin}/register`,
        revocation_endpoint: `${origin}/revoke`,
        code_challenge_methods_supported: ['S256'],
        authorization_response_iss_parameter_supported: true,
        ...otherwise.metadata,
      }),
    '/authorize': (query, res) => {
      const code = randomUUID();
      codes.set(code, { challenge: query.get('code_challenge') ?? '', scope: query.get('scope') ?? '' });
      const back = new URL(query.get('redirect_uri') ?? '');
      const answer = { code, state: query.get('state') ?? '', iss: origin, ...otherwise.answer };
      for (const [name, value] of Object.entries(answer)) if (value !== '') back.searchParams.set(name, value);
      res.writeHead(302, { location: back.href }).end();
    },
    '/mcp': (_, res) => {
      const metadata = `${origin}/.well-known/oauth-protected-resource/mcp`;
      json(res, {}, 401, { 'www-authenticate': `Bearer resource_metadata="${metadata}", scope="read"` });
    },
  };
  /** What is posted, by its path. */
  const doors: Readonly<Record<string, (form: URLSearchParams, res: ServerResponse) => unknown>> = {
    '/register': (_, res) => json(res, { client_id: randomUUID(), client_secret: 's' }, 201),
    '/revoke': (_, res) => res.writeHead(200).end(),
    '/token': (form, res) => {
      const special = otherwise.token?.(form);
      if (special !== undefined) json(res, special.body, special.status);
      else (grants[form.get('grant_type') ?? ''] ?? grants['authorization_code'])?.(form, res);
    },
  };
  const grants: typeof doors = {
    client_credentials: (form, res) => json(res, { ...give(form.get('scope') ?? ''), refresh_token: undefined }),
    refresh_token: (form, res) => {
      const scope = refresh.get(form.get('refresh_token') ?? '');
      refresh.delete(form.get('refresh_token') ?? '');
      if (scope === undefined) json(res, { error: 'invalid_grant' }, 400);
      else json(res, give(scope));
    },
    authorization_code: (form, res) => {
      const code = codes.get(form.get('code') ?? '');
      codes.delete(form.get('code') ?? '');
      const verifier = createHash('sha256')
        .update(form.get('code_verifier') ?? '')
        .digest('base64url');
      if (code === undefined || code.challenge !== verifier) json(res, { error: 'invalid_grant' }, 400);
      else json(res, give(code.scope));
    },
  };

  async function serve(req: IncomingMessage, res: ServerResponse): Promise<void> {
    let body = '';
    for await (const chunk of req) body += chunk;
    const { pathname: path, searchParams: query } = new URL(req.url ?? '/', origin);
    const form = new URLSearchParams(body);
    if (doors[path] !== undefined) asked.push({ path, form, authorization: req.headers.authorization });
    if (path === '/token') await otherwise.before?.();
    if (doors[path] !== undefined) doors[path](form, res);
    else if (documents[path] !== undefined) documents[path](query, res);
    else res.writeHead(404).end();
  }

  return {
    origin,
    endpoint: `${origin}/mcp`,
    otherwise,
    asked,
    good,
    visit: async (address) => {
      const answer = await fetch(address, { redirect: 'manual' });
      return answer.headers.get('location') ?? '';
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((closed) => server.close(closed));
    },
  };
}
