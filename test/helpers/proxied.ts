import { createHmac, hash, randomBytes } from 'node:crypto';

export interface ProxiedRequest {
  readonly secret: Uint8Array;
  readonly keyId: string;
  readonly userId: string;
  readonly permissions: string;
  readonly method?: string;
  readonly url?: string;
  readonly host?: string;
  readonly body?: Buffer;
  /** Of the body; SHA-256 unless told. */
  readonly digest?: string;
  /** Seconds since the epoch. */
  readonly created?: number;
  readonly expires?: number;
  readonly nonce?: string;
  /** What is signed; what must be unless told. */
  readonly components?: readonly string[];
}

/** A request as a proxy would sign it (RFC 9421, HMAC-SHA256): written apart from what verifies it. */
export function signProxied(given: ProxiedRequest): { method: string; url: string; rawHeaders: string[] } {
  const { method = 'GET', url = '/api/v1/mcp/a/mcp', host = 'localhost:8080', body } = given;
  const created = given.created ?? Math.floor(Date.now() / 1000);
  const headers: Record<string, string> = {
    host,
    'x-proxy-verified': 'true',
    'x-user-id': given.userId,
    'x-user-permissions': given.permissions,
    ...(body === undefined
      ? {}
      : {
          'content-length': String(body.length),
          'content-digest': given.digest ?? `sha-256=:${hash('sha256', body, 'base64')}:`,
        }),
  };
  const [path = '', query] = url.split('?');
  const values: Record<string, string> = {
    ...headers,
    '@method': method,
    '@authority': host,
    '@path': path,
    '@query': `?${query ?? ''}`,
  };
  const names = given.components ?? [
    ...['@method', '@authority', '@path', '@query', 'x-proxy-verified', 'x-user-id', 'x-user-permissions'],
    ...(body === undefined ? [] : ['content-digest']),
  ];
  const params =
    `(${names.map((name) => `"${name}"`).join(' ')});created=${created};expires=${given.expires ?? created + 30}` +
    `;nonce="${given.nonce ?? randomBytes(16).toString('base64url')}";keyid="${given.keyId}";alg="hmac-sha256"`;
  const base = [...names.map((name) => `"${name}": ${values[name] ?? ''}`), `"@signature-params": ${params}`].join(
    '\n',
  );
  const signature = createHmac('sha256', given.secret).update(base).digest('base64');
  const all = { ...headers, 'signature-input': `proxy=${params}`, signature: `proxy=:${signature}:` };
  return { method, url, rawHeaders: Object.entries(all).flat() };
}
