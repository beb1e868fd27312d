// What it costs to verify an access token at a resource: cold (the signature), warm (everything but the signature, all
// checks of revocation included), and what reading the header adds. Without a database: it is not asked for either.
//
//   node bench/auth/verify.ts [--revoked 10000]
import { randomUUID } from 'node:crypto';
import { parseArgs } from 'node:util';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { authenticate, KeyService, TokenVerifier } from '../../src/lib/domain/auth/index.ts';
import type { Database } from '../../src/lib/infra/database/connection.ts';

const { values } = parseArgs({ options: { revoked: { type: 'string', default: '10000' } } });
const issuer = 'https://it.example';
const audience = `${issuer}/api/v1/mcp/notes/mcp`;
const maxTtlSeconds = 3600;
const rounds = 200_000;
const tokens = 500;

const pair = await generateKeyPair('ES256', { extractable: true });
const kid = 'bench';
const publicJwk = { ...(await exportJWK(pair.publicKey)), kid, alg: 'ES256', use: 'sig' };
const later = new Date(Date.now() + maxTtlSeconds * 1000);
const revoked = Array.from({ length: Number(values.revoked) }, () => ({ id: randomUUID(), expires_at: later }));
const database = {
  async query(sql: string) {
    if (sql.includes('signing_keys')) return [{ kid, resource: audience, public_jwk: publicJwk, retired_at: null }];
    if (sql.includes('user_sessions')) return revoked;
    if (sql.includes('revoked_tokens')) return revoked.map(({ id, expires_at }) => ({ jti: id, expires_at }));
    if (sql.includes('FROM users')) return revoked.map(({ id }) => ({ id, access_version: 2 }));
    return [];
  },
  listen: async () => async () => {},
} as unknown as Database;
const sealer = { seal: async () => '', open: async () => new Uint8Array() };
const keys = new KeyService({ database, sealer, maxTokenTtlSeconds: maxTtlSeconds });
const policy = { audience, tokenTtlSeconds: maxTtlSeconds, requireDpop: false, ownKey: true, issuers: [] };
const verifier = await TokenVerifier.open({
  database,
  keys,
  issuer,
  maxTtlSeconds,
  addresses: [issuer],
  policies: { byAudience: (given) => (given === audience ? policy : undefined) },
});

const now = Math.floor(Date.now() / 1000);
const signed = await Promise.all(
  Array.from({ length: tokens }, () =>
    new SignJWT({ client_id: 'bench', scope: 'user notes:read', sid: randomUUID(), name: 'owner', access_version: 1 })
      .setProtectedHeader({ alg: 'ES256', typ: 'at+jwt', kid })
      .setIssuer(issuer)
      .setAudience(audience)
      .setSubject(randomUUID())
      .setJti(randomUUID())
      .setIssuedAt(now)
      .setExpirationTime(now + 600)
      .sign(pair.privateKey),
  ),
);
const requests = signed.map((token) => ({
  method: 'POST',
  url: '/api/v1/mcp/notes/mcp',
  rawHeaders: [
    'Host',
    'it.example',
    'Accept',
    '*/*',
    'Content-Type',
    'application/json',
    'Authorization',
    `Bearer ${token}`,
  ],
}));

async function microseconds(count: number, work: (index: number) => Promise<unknown>): Promise<number> {
  const started = performance.now();
  for (let index = 0; index < count; index += 1) await work(index);
  return ((performance.now() - started) / count) * 1000;
}

const cold = await microseconds(tokens, (index) => verifier.verify(signed[index] ?? '', audience));
await microseconds(rounds / 10, (index) => verifier.verify(signed[index % tokens] ?? '', audience));
const warm = await microseconds(rounds, (index) => verifier.verify(signed[index % tokens] ?? '', audience));
const request = await microseconds(rounds, (index) =>
  authenticate(verifier, requests[index % tokens] ?? { rawHeaders: [] }, audience),
);
await verifier.close();
const rounded = (value: number): number => Math.round(value * 100) / 100;
const figures = {
  revoked: revoked.length,
  cold_us: rounded(cold),
  warm_us: rounded(warm),
  warm_with_header_us: rounded(request),
  bar_us: 20,
};
process.stdout.write(`${JSON.stringify(figures)}\n`);
if (warm > figures.bar_us) process.exitCode = 1;
