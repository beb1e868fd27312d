import { hash } from 'node:crypto';
import { decodeJwt, type JWTPayload, jwtVerify } from 'jose';
import type { GuardedFetch } from '../../../infra/http/guarded-fetch.ts';
import { ExternalKeys } from './external-keys.ts';

/** Asymmetric ones in use; never one with a shared key, never `none`. */
const algorithms = ['ES256', 'ES384', 'EdDSA', 'Ed25519', 'PS256', 'RS256', 'RS384', 'RS512'];
const clockSkewSeconds = 30;
const maxLength = 16_384;
/** A statement about a running job is no password for a year. */
const maxLifeSeconds = 86_400;
/** Tokens that are made for something else. */
const otherTypes: ReadonlySet<string | undefined> = new Set(['at+jwt', 'dpop+jwt', 'logout+jwt', 'secevent+jwt']);

/** Which tokens of an issuer outside are taken, and for which service account. */
export interface WorkloadRule {
  readonly issuer: string;
  readonly jwksUri?: string | undefined;
  /** What the token must be made for. Default: our own issuer. */
  readonly audience?: string | undefined;
  /** Of the token, `*` for any characters. */
  readonly subject?: string | undefined;
  /** Further claims that must be so, `*` for any characters. */
  readonly claims: Readonly<Record<string, string>>;
  /** Id of the client that the service account is. */
  readonly serviceAccount: string;
  readonly ttlSeconds: number;
  readonly privateNetwork: boolean;
}

/** A token of an issuer outside that a rule takes. */
export interface Workload {
  readonly rule: WorkloadRule;
  readonly issuer: string;
  readonly subject: string;
  /** Under which it may be used once. */
  readonly id: string;
  /** Seconds since the epoch. */
  readonly expiresAt: number;
}

/** Why a token was not taken; for our log, never for the caller. */
class WorkloadRefusedError extends Error {
  override readonly name = 'WorkloadRefusedError';
}

/** Programs that prove by a token of their platform who they are, as CI jobs do: they keep no secret of ours. */
export class Workloads {
  readonly #rules: readonly WorkloadRule[];
  readonly #ownIssuer: string;
  readonly #keys = new Map<string, ExternalKeys>();

  constructor(deps: {
    readonly rules: readonly WorkloadRule[];
    readonly ownIssuer: string;
    readonly fetch: GuardedFetch;
  }) {
    this.#rules = deps.rules.filter(({ issuer }) => issuer !== deps.ownIssuer);
    this.#ownIssuer = deps.ownIssuer;
    for (const rule of this.#rules) {
      const key = keyOf(rule);
      if (!this.#keys.has(key)) this.#keys.set(key, new ExternalKeys(rule, deps.fetch));
    }
  }

  /**
   * The rule that takes a token for a service account.
   * @throws WorkloadRefusedError, an error of jose, or of the fetch of the issuer's keys
   */
  async verify(token: string, serviceAccount: string): Promise<Workload> {
    if (token.length > maxLength) throw new WorkloadRefusedError('The token is too long');
    const { iss } = decodeJwt(token);
    // Nobody's keys are fetched for an issuer that no rule names for this account.
    const rules = this.#rules.filter((rule) => rule.issuer === iss && rule.serviceAccount === serviceAccount);
    if (rules.length === 0) throw new WorkloadRefusedError('No rule is for this issuer and service account');
    const refusals: unknown[] = [];
    for (const rule of rules) {
      try {
        return await this.#verifyBy(rule, token);
      } catch (error) {
        refusals.push(error);
      }
    }
    throw refusals[0];
  }

  async #verifyBy(rule: WorkloadRule, token: string): Promise<Workload> {
    const keys = this.#keys.get(keyOf(rule));
    if (keys === undefined) throw new Error('A rule has no keys');
    const { payload, protectedHeader } = await jwtVerify(token, (header, jws) => keys.find(header, jws), {
      algorithms,
      issuer: rule.issuer,
      audience: rule.audience ?? this.#ownIssuer,
      clockTolerance: clockSkewSeconds,
      requiredClaims: ['sub', 'exp', 'iat'],
    });
    if (otherTypes.has(protectedHeader.typ?.toLowerCase().replace(/^application\//, ''))) {
      throw new WorkloadRefusedError('The token is made for something else');
    }
    const { sub = '', exp = 0, iat = 0, jti } = payload;
    const now = Date.now() / 1000;
    if (iat > now + clockSkewSeconds || exp - iat > maxLifeSeconds) {
      throw new WorkloadRefusedError('The times of the token make no sense');
    }
    checkClaims(rule, sub, payload);
    const id = typeof jti === 'string' && jti !== '' ? `jti ${jti}` : `token ${hash('sha256', token)}`;
    return { rule, issuer: rule.issuer, subject: sub, id, expiresAt: exp + clockSkewSeconds };
  }
}

function checkClaims(rule: WorkloadRule, subject: string, payload: JWTPayload): void {
  if (rule.subject !== undefined && !matchesPattern(rule.subject, subject)) {
    throw new WorkloadRefusedError('The subject is another');
  }
  for (const [name, pattern] of Object.entries(rule.claims)) {
    const value = Object.hasOwn(payload, name) ? payload[name] : undefined;
    const text = ['string', 'number', 'boolean'].includes(typeof value) ? String(value) : undefined;
    if (text === undefined || !matchesPattern(pattern, text)) {
      throw new WorkloadRefusedError(`The claim ${name} is another`);
    }
  }
}

/** Whether a text is like a pattern, in which `*` stands for any characters; linear, whatever the pattern. */
export function matchesPattern(pattern: string, text: string): boolean {
  const parts = pattern.split('*');
  const [first = ''] = parts;
  if (parts.length === 1) return pattern === text;
  const last = parts.at(-1) ?? '';
  if (!text.startsWith(first) || !text.endsWith(last) || text.length < first.length + last.length) return false;
  let at = first.length;
  for (const part of parts.slice(1, -1)) {
    const found = text.indexOf(part, at);
    if (found === -1) return false;
    at = found + part.length;
  }
  return at <= text.length - last.length;
}

function keyOf(rule: WorkloadRule): string {
  return JSON.stringify([rule.issuer, rule.jwksUri, rule.privateNetwork]);
}
