import type { Claims, TokenIssuer } from '../../domain/auth/index.ts';

/** The header in which a server with `delegate: true` gets a token of its caller. */
export const tokenHeaderName = 'x-systemprompt-token';

const reuseMs = 30_000;
const maxEntries = 1_000;

interface Entry {
  readonly token: string;
  /** Milliseconds since the epoch. */
  readonly until: number;
}

/**
 * Tokens with which a server acts for its caller at this instance: never more than the caller holds, 60 s at most. One
 * is used for half that time, so that whoever gets it has the other half left.
 */
export class Delegation {
  readonly #issuer: Pick<TokenIssuer, 'delegate'>;
  readonly #audience: string;
  readonly #tokens = new Map<string, Entry>();

  constructor(issuer: Pick<TokenIssuer, 'delegate'>, instanceAudience: string) {
    this.#issuer = issuer;
    this.#audience = instanceAudience;
  }

  /** @throws what signing throws: DatabaseUnavailableError when there is no key to be had */
  async token(claims: Claims): Promise<string> {
    const { sid, sub, client, scopes, accessVersion, authTime, act } = claims;
    // All that the token will say: who acts for whom, and what may have been taken away since.
    const key = JSON.stringify([sid, sub, client, scopes, accessVersion, authTime, act]);
    const known = this.#tokens.get(key);
    if (known !== undefined && known.until > Date.now()) return known.token;
    const { token, expiresAt } = await this.#issuer.delegate(claims, this.#audience);
    this.#tokens.delete(key);
    this.#tokens.set(key, { token, until: Math.min(Date.now() + reuseMs, expiresAt.getTime() - 1_000) });
    if (this.#tokens.size > maxEntries) {
      const [oldest] = this.#tokens.keys();
      if (oldest !== undefined) this.#tokens.delete(oldest);
    }
    return token;
  }
}
