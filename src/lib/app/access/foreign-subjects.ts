import { errors, type JWTVerifyGetKey } from 'jose';
import {
  endedSince,
  type ForeignSubject,
  type ForeignTrust,
  type KnownSubject,
  lastingSession,
  type TrustedIssuer,
} from '../../domain/auth/index.ts';
import type { Queryable } from '../../infra/database/connection.ts';
import type { GuardedFetch } from '../../infra/http/guarded-fetch.ts';
import { AppError, UpstreamUnavailableError } from '../../shared/errors.ts';
import type { UserId } from '../../shared/ids.ts';
import { ExternalKeys } from '../oauth/machines/external-keys.ts';
import type { ResourceServers } from '../resources.ts';
import type { Entitlements } from './entitlements.ts';

/** A client's name has no more characters in a session. */
const clientLength = 200;

/** Tokens of other issuers: their keys, and who their subjects are here. */
export class ForeignSubjects implements ForeignTrust {
  readonly #database: Queryable;
  readonly #entitlements: Pick<Entitlements, 'permittedScopes'>;
  readonly #resources: Pick<ResourceServers, 'byAudience'>;
  readonly #fetch: GuardedFetch;
  readonly #keys = new Map<string, ExternalKeys>();

  constructor(deps: {
    readonly database: Queryable;
    readonly entitlements: Pick<Entitlements, 'permittedScopes'>;
    readonly resources: Pick<ResourceServers, 'byAudience'>;
    readonly fetch: GuardedFetch;
  }) {
    this.#database = deps.database;
    this.#entitlements = deps.entitlements;
    this.#resources = deps.resources;
    this.#fetch = deps.fetch;
  }

  keys(issuer: TrustedIssuer): JWTVerifyGetKey {
    const { issuer: name, jwksUri, privateNetwork } = issuer;
    const id = JSON.stringify([name, jwksUri, privateNetwork]);
    const keys = this.#keys.get(id) ?? new ExternalKeys({ issuer: name, jwksUri, privateNetwork }, this.#fetch);
    this.#keys.set(id, keys);
    return async (header, token) => {
      try {
        return await keys.find(header, token);
      } catch (error) {
        if (error instanceof errors.JOSEError || error instanceof AppError) throw error;
        throw new UpstreamUnavailableError(`The keys of the issuer ${name} can't be read`, { cause: error });
      }
    };
  }

  async find(subject: ForeignSubject): Promise<KnownSubject | 'ended' | undefined> {
    const resource = this.#resources.byAudience(subject.resource);
    const user = await this.#user(subject);
    if (resource === undefined || user === undefined) return undefined;
    const client = `issuer:${subject.issuer}`.slice(0, clientLength);
    const userId = user.id as UserId;
    const permitted = await this.#entitlements.permittedScopes({ userId, clientId: client }, resource);
    if (!permitted.active) return undefined;
    // We can't take the token back; it is of the sign-in that it was first shown in, and does not begin another.
    if (await endedSince(this.#database, { userId, client, kind: 'service' }, subject.issuedAt)) return 'ended';
    const scopes = subject.scopes.filter((scope) => permitted.scopes.has(scope));
    const sessionId = await lastingSession(this.#database, userId, client, 'service');
    return { userId, userName: user.name, sessionId, scopes, accessVersion: permitted.accessVersion };
  }

  async #user({ issuer, subject, serviceAccount }: ForeignSubject) {
    const [row] =
      serviceAccount === undefined
        ? await this.#database.query<{ id: string; name: string }>(
            `SELECT u.id, u.name FROM federated_identities f JOIN users u ON u.id = f.user_id
             WHERE f.issuer = $1 AND f.subject = $2`,
            [issuer, subject],
          )
        : await this.#database.query<{ id: string; name: string }>(
            "SELECT id, name FROM users WHERE kind = 'service' AND name = $1",
            [serviceAccount],
          );
    return row;
  }
}
