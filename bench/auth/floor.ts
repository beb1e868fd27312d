import { randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair } from 'jose';
import Provider, { type Adapter, type AdapterPayload, type Configuration } from 'oidc-provider';

/*
 * The floor of bench/auth: oidc-provider as it is, everything in the memory of its process, one page of configuration.
 * Prints the port and refresh tokens to begin with, as JSON. Usage: node floor.ts <refresh tokens>
 */

const audience = 'http://localhost:1/mcp';

/** A map without bounds: the one that comes along keeps a thousand entries, and forgets the rest. */
class MemoryAdapter implements Adapter {
  readonly #rows = new Map<string, AdapterPayload>();

  find = async (id: string) => this.#rows.get(id);
  findByUid = async () => undefined;
  findByUserCode = async () => undefined;
  upsert = async (id: string, payload: AdapterPayload) => void this.#rows.set(id, payload);
  consume = async (id: string) => {
    const row = this.#rows.get(id);
    if (row !== undefined) row.consumed = Math.floor(Date.now() / 1000);
  };
  destroy = async (id: string) => void this.#rows.delete(id);
  revokeByGrantId = async () => {};
}

const { privateKey } = await generateKeyPair('ES256', { extractable: true });
const secret = randomBytes(32).toString('base64url');
const server = createServer();
await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
const { port } = server.address() as AddressInfo;
const issuer = `http://127.0.0.1:${port}`;

const configuration: Configuration = {
  adapter: MemoryAdapter,
  jwks: { keys: [{ ...(await exportJWK(privateKey)), use: 'sig', alg: 'ES256', kid: 'bench' }] },
  clients: [
    {
      client_id: 'service',
      client_secret: secret,
      grant_types: ['client_credentials'],
      redirect_uris: [],
      response_types: [],
    },
    {
      client_id: 'app',
      token_endpoint_auth_method: 'none',
      grant_types: ['authorization_code', 'refresh_token'],
      redirect_uris: ['https://app.example/callback'],
    },
  ],
  clientDefaults: { id_token_signed_response_alg: 'ES256' },
  enabledJWA: { idTokenSigningAlgValues: ['ES256'] },
  scopes: ['openid', 'offline_access'],
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => audience,
      useGrantedResource: () => true,
      getResourceServerInfo: () => ({
        scope: 'user',
        audience,
        accessTokenTTL: 3600,
        accessTokenFormat: 'jwt',
        jwt: { sign: { alg: 'ES256' } },
      }),
    },
  },
  findAccount: (_ctx, accountId) => ({ accountId, claims: () => ({ sub: accountId }) }),
  issueRefreshToken: () => true,
  rotateRefreshToken: () => true,
  expiresWithSession: () => false,
  ttl: { AccessToken: 3600, RefreshToken: 86_400, Grant: 86_400 },
};

const provider = new Provider(issuer, configuration);
server.on('request', provider.callback());

const client = await provider.Client.find('app');
if (client === undefined) throw new Error('There is no client');
const refreshTokens = await Promise.all(
  Array.from({ length: Number(process.argv[2] ?? 0) }, async () => {
    const grant = new provider.Grant({ accountId: 'ada', clientId: 'app' });
    grant.addResourceScope(audience, 'user');
    const token = new provider.RefreshToken({
      accountId: 'ada',
      client,
      grantId: await grant.save(),
      gty: 'authorization_code',
      resource: audience,
      scope: 'user',
    } as never);
    return token.save();
  }),
);
process.stdout.write(`${JSON.stringify({ port, audience, secret, refreshTokens })}\n`);
process.stdin.resume().on('end', () => process.exit(0)); // whoever started it is gone
