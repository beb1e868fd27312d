import { type FoundToken, goodPersonalToken, type TokenLookup } from '../../domain/auth/index.ts';
import { UserService } from '../../domain/users/index.ts';
import type { Queryable } from '../../infra/database/connection.ts';
import type { EntitledResource, Entitlements } from './entitlements.ts';

interface LookupDependencies {
  readonly database: Queryable;
  readonly resources: { byAudience(audience: string): EntitledResource | undefined };
  readonly entitlements: Entitlements;
}

/** Finds tokens for the verifier: what each may do is looked up anew, and is never more than its user may. */
export class PersonalTokenLookup implements TokenLookup {
  readonly #deps: LookupDependencies;

  constructor(deps: LookupDependencies) {
    this.#deps = deps;
  }

  /**
   * The token with that SHA-256, while it is good, its user may act and its resource is there.
   * @throws DatabaseUnavailableError
   */
  async find(digest: Uint8Array): Promise<FoundToken | undefined> {
    const { database, resources, entitlements } = this.#deps;
    const token = await goodPersonalToken(database, digest);
    const resource = token && resources.byAudience(token.audience);
    if (token === undefined || resource === undefined) return undefined;
    const { userId, id, sessionId, audience, createdAt, expiresAt } = token;
    const permitted = await entitlements.permittedScopes({ userId }, resource);
    if (!permitted.active) return undefined;
    const { name: userName } = await new UserService(database).get(userId);
    const scopes = token.scopes.filter((scope) => permitted.scopes.has(scope));
    return {
      id,
      userId,
      userName,
      sessionId,
      audience,
      scopes,
      accessVersion: permitted.accessVersion,
      createdAt,
      expiresAt,
    };
  }
}
