import { randomUUID } from 'node:crypto';
import { type CryptoKey, SignJWT } from 'jose';
import type { SessionId, UserId } from '../../../shared/ids.ts';
import type { ResourceServer } from '../../resources.ts';

/** Who acts for the subject of a token, and for whom that one acts (RFC 8693 section 4.1). */
export interface ActorClaim {
  readonly sub: string;
  readonly client_id?: string;
  readonly act?: ActorClaim;
}

/** One access token, decided upon. */
export interface MachineToken {
  readonly userId: UserId;
  readonly userName: string;
  readonly sessionId: SessionId;
  readonly clientId: string;
  readonly resource: ResourceServer;
  readonly scopes: readonly string[];
  readonly ttlSeconds: number;
  readonly accessVersion: number;
  readonly act?: ActorClaim | undefined;
  /** Thumbprint of the key that the bearer must prove to have (RFC 9449 section 6). */
  readonly keyThumbprint?: string | undefined;
}

export interface SignedToken {
  readonly token: string;
  readonly jti: string;
  readonly expiresIn: number;
  readonly tokenType: 'Bearer' | 'DPoP';
}

/** Where the key to sign with comes from: that of one resource, or the general one. */
export interface SigningKeys {
  signingKey(resource?: string): Promise<{ readonly kid: string; readonly key: CryptoKey }>;
}

const algorithm = 'ES256';
/** A key that has stopped signing is published for longer than any token lives: this much more does no harm. */
const keyMs = 1000;

/** Signs access tokens after RFC 9068 without asking the database for the key of each. */
export class TokenSigner {
  readonly #issuer: string;
  readonly #keys: SigningKeys;
  readonly #known = new Map<string, { readonly key: ReturnType<SigningKeys['signingKey']>; readonly until: number }>();

  constructor(issuer: string, keys: SigningKeys) {
    this.#issuer = issuer;
    this.#keys = keys;
  }

  /** Keys have changed. */
  forget(): void {
    this.#known.clear();
  }

  async sign(what: MachineToken): Promise<SignedToken> {
    const { kid, key } = await this.#key(what.resource);
    const iat = Math.floor(Date.now() / 1000);
    const jti = randomUUID();
    const token = await new SignJWT({
      iss: this.#issuer,
      aud: what.resource.audience,
      sub: what.userId,
      client_id: what.clientId,
      scope: what.scopes.join(' '),
      sid: what.sessionId,
      name: what.userName,
      jti,
      iat,
      exp: iat + what.ttlSeconds,
      access_version: what.accessVersion,
      ...(what.act === undefined ? {} : { act: what.act }),
      ...(what.keyThumbprint === undefined ? {} : { cnf: { jkt: what.keyThumbprint } }),
    })
      .setProtectedHeader({ alg: algorithm, typ: 'at+jwt', kid })
      .sign(key);
    const tokenType = what.keyThumbprint === undefined ? 'Bearer' : 'DPoP';
    return { token, jti, expiresIn: what.ttlSeconds, tokenType };
  }

  #key(resource: ResourceServer): ReturnType<SigningKeys['signingKey']> {
    const owner = resource.ownKey ? resource.audience : undefined;
    const now = performance.now();
    const known = this.#known.get(owner ?? '');
    if (known !== undefined && known.until > now) return known.key;
    const key = this.#keys.signingKey(owner);
    this.#known.set(owner ?? '', { key, until: now + keyMs });
    key.catch(() => this.#known.delete(owner ?? ''));
    return key;
  }
}
