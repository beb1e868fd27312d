import { hash, timingSafeEqual } from 'node:crypto';
import { calculateJwkThumbprint, EmbeddedJWK, type JWK, jwtVerify } from 'jose';
import { z } from 'zod';
import { refuse } from './claims.ts';

/** Algorithms that a proof may be signed by: asymmetric ones (RFC 9449 section 4.3, 5). */
export const proofAlgorithms: readonly string[] = ['ES256', 'EdDSA', 'ES384', 'PS256', 'RS256'];

/** How old a proof may be and how far ahead its clock, in seconds. */
const maxAgeSeconds = 60;
const clockSkewSeconds = 5;
/** A proof has some 500 characters; with an RSA key 1200. */
const maxProofLength = 4096;

const payloadSchema = z.object({
  jti: z.string().min(8).max(256),
  htm: z.string(),
  htu: z.string().max(2000),
  iat: z.number(),
  ath: z.string(),
});

/** A proof as it came, and the request that it came with. */
export interface ShownProof {
  readonly proof: string;
  readonly method: string;
  /** Path of the request, without query. */
  readonly path: string;
}

/** Remembers proofs, so that none counts twice. */
export interface ProofLedger {
  /**
   * Takes a proof down. @returns whether it is the first time
   * @throws DatabaseUnavailableError when that can't be told
   */
  first(digest: Uint8Array, expiresAt: Date): Promise<boolean>;
}

/**
 * Checks that whoever shows a token holds the key that it is bound to (RFC 9449 section 4.3, 7).
 * @param origins of the resource: where the request may have been sent to
 * @param jkt thumbprint of the key, from the token's `cnf`
 * @throws UnauthenticatedError `proof` or `replayed`; DatabaseUnavailableError
 */
export async function checkProof(
  { proof, method, path }: ShownProof,
  token: string,
  jkt: string,
  origins: readonly string[],
  ledger: ProofLedger,
): Promise<void> {
  if (proof.length > maxProofLength) throw refuse('proof');
  const { payload, jwk } = await verified(proof);
  const now = Date.now() / 1000;
  const expected = origins.map((origin) => normal(`${origin}${path}`));
  const holds =
    (await calculateJwkThumbprint(jwk)) === jkt &&
    payload.htm === method &&
    expected.includes(normal(payload.htu)) &&
    payload.iat <= now + clockSkewSeconds &&
    payload.iat >= now - maxAgeSeconds &&
    same(payload.ath, hash('sha256', token, 'base64url'));
  if (!holds) throw refuse('proof');
  const digest = hash('sha256', `${jkt} ${payload.jti}`, 'buffer');
  // A second more than it could be accepted by any clock of ours.
  const expiresAt = new Date((payload.iat + maxAgeSeconds + clockSkewSeconds + 1) * 1000);
  if (!(await ledger.first(digest, expiresAt))) throw refuse('replayed');
}

async function verified(proof: string) {
  try {
    const { payload, protectedHeader } = await jwtVerify(proof, EmbeddedJWK, {
      typ: 'dpop+jwt',
      algorithms: [...proofAlgorithms],
    });
    return { payload: payloadSchema.parse(payload), jwk: protectedHeader.jwk as JWK };
  } catch (error) {
    throw refuse('proof', error);
  }
}

/** Without query and fragment, which do not count; undefined for what is no address. */
function normal(address: string): string | undefined {
  if (!URL.canParse(address)) return undefined;
  const { origin, pathname } = new URL(address);
  return `${origin}${pathname}`;
}

function same(a: string, b: string): boolean {
  const [left, right] = [Buffer.from(a), Buffer.from(b)];
  return left.length === right.length && timingSafeEqual(left, right);
}
