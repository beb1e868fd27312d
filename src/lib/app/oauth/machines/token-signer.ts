import { randomUUID } from 'node:crypto';
import { CompactSign, type CryptoKey } from 'jose';
import type { ActorClaim } from '../../../domain/auth/index.ts';
import type { SessionId, UserId } from '../../../shared/ids.ts';
import type { ResourceServer } from '../../resources.ts';

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
/** Signs access tokens after RFC 9068. */
export class TokenSigner {
  readonly #issuer: string;
  readonly #keys: SigningKeys;

  constructor(issuer: string, keys: SigningKeys) {
    this.#issuer = issuer;
    this.#keys = keys;
  }

  async sign(what: MachineToken): Promise<SignedToken> {
    const { resource } = what;
    const { kid, key } = await this.#keys.signingKey(resource.ownKey ? resource.audience : undefined);
    const iat = Math.floor(Date.now() / 1000);
    const jti = randomUUID();
    const claims = JSON.stringify({
      iss: this.#issuer,
      aud: resource.audience,
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
    });
    // Not SignJWT, which makes a deep copy of the claims first: a fiftieth of what a token costs.
    const token = await new CompactSign(Buffer.from(claims))
      .setProtectedHeader({ alg: algorithm, typ: 'at+jwt', kid })
      .sign(key);
    const tokenType = what.keyThumbprint === undefined ? 'Bearer' : 'DPoP';
    return { token, jti, expiresIn: what.ttlSeconds, tokenType };
  }
}
