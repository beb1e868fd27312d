import { createHmac, hkdfSync, type KeyObject, timingSafeEqual } from 'node:crypto';
import { UnauthenticatedError } from '../../shared/errors.ts';
import type { ExecutionId, ServiceInstanceId, SessionId, UserId } from '../../shared/ids.ts';

/** The header in which the router tells a server on whose behalf it calls. */
export const identityHeaderName = 'x-systemprompt-identity';

/** Longest life of one header, in seconds: it is made for one call on the same machine. */
const identityMaxLifetimeSeconds = 60;

const version = 1;
const keyBytes = 32;
const maxHeaderLength = 8192;
const clockSkewSeconds = 5;
/** An HMAC-SHA256 of 32 bytes in unpadded base64url (RFC 4648 section 5). */
const macLength = 43;

/** Who calls, bound to the one run of the one server that may believe it. Times are seconds since the epoch. */
export interface Identity {
  readonly aud: ServiceInstanceId;
  readonly sub: UserId;
  readonly name: string;
  readonly sid: SessionId;
  readonly scopes: readonly string[];
  readonly exec?: ExecutionId;
  readonly iat: number;
  readonly exp: number;
}

/**
 * The key that signs identities for one run of one server (HKDF-SHA256, RFC 5869): a server learns its own key only,
 * so it can forge nothing that another server, or its own next run, would believe.
 */
export function deriveIdentityKey(root: Uint8Array, instanceId: ServiceInstanceId): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', root, new Uint8Array(0), `mcp:${instanceId}`, keyBytes));
}

/**
 * The header's value for an identity. Throws RangeError when it would live longer than 60 s: no verifier takes that.
 * @param key as derived; who signs often makes a KeyObject of it once (`createSecretKey`), which takes a sixth of the time
 */
export function signIdentity(key: Uint8Array | KeyObject, identity: Identity): string {
  if (!(identity.exp > identity.iat) || identity.exp - identity.iat > identityMaxLifetimeSeconds) {
    throw new RangeError(`An identity lives 1 to ${identityMaxLifetimeSeconds} seconds`);
  }
  const payload = Buffer.from(JSON.stringify({ v: version, ...identity })).toString('base64url');
  return `${payload}.${mac(key, payload)}`;
}

/**
 * The identity in a header, checked: signature first and in constant time, then form, audience and time. Throws
 * UnauthenticatedError with `data.reason` (missing, malformed, signature, audience, not_yet_valid, expired). `now` is in seconds.
 */
export function verifyIdentity(
  key: Uint8Array | KeyObject,
  header: string | readonly string[] | undefined,
  expected: { readonly instanceId: string; readonly now?: number },
): Identity {
  if (header === undefined || header === '') throw refusal('missing');
  if (typeof header !== 'string' || header.length > maxHeaderLength) throw refusal('malformed');
  const dot = header.indexOf('.');
  const payload = header.slice(0, dot);
  const given = header.slice(dot + 1);
  if (dot <= 0 || given.length !== macLength) throw refusal('malformed');
  // The encoded texts are compared, not the bytes, so that exactly one spelling of a signature is valid.
  const [want, have] = [Buffer.from(mac(key, payload)), Buffer.from(given)];
  if (want.length !== have.length || !timingSafeEqual(want, have)) throw refusal('signature');
  const identity = parse(payload);
  if (identity === undefined) throw refusal('malformed');
  if (identity.aud !== expected.instanceId) throw refusal('audience');
  const now = expected.now ?? Date.now() / 1000;
  if (identity.iat > now + clockSkewSeconds) throw refusal('not_yet_valid');
  if (identity.exp <= now) throw refusal('expired');
  return identity;
}

function mac(key: Uint8Array | KeyObject, payload: string): string {
  return createHmac('sha256', key).update(payload, 'utf8').digest('base64url');
}

function parse(payload: string): Identity | undefined {
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(payload, 'base64url').toString('utf8'));
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  const { v, ...identity } = value as Record<string, unknown>;
  return v === version && isIdentity(identity) ? identity : undefined;
}

const textFields = ['aud', 'sub', 'name', 'sid'] as const;
const fields: readonly string[] = [...textFields, 'scopes', 'exec', 'iat', 'exp'];

function isIdentity(value: Record<string, unknown>): value is Record<string, unknown> & Identity {
  if (!Object.keys(value).every((name) => fields.includes(name))) return false;
  if (!textFields.every((name) => typeof value[name] === 'string' && value[name] !== '')) return false;
  if (value.exec !== undefined && typeof value.exec !== 'string') return false;
  const { scopes, iat, exp } = value;
  if (!Array.isArray(scopes) || !scopes.every((scope) => typeof scope === 'string')) return false;
  if (!Number.isInteger(iat) || !Number.isInteger(exp)) return false;
  const life = (exp as number) - (iat as number);
  return life > 0 && life <= identityMaxLifetimeSeconds;
}

function refusal(reason: string): UnauthenticatedError {
  return new UnauthenticatedError('The caller did not come through the router', {
    hint: 'Call the server at its address under /api/v1/mcp/; it answers nobody else.',
    data: { reason },
  });
}
