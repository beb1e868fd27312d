import { hash, randomBytes } from 'node:crypto';
import { z } from 'zod';
import {
  findPersonalToken,
  insertPersonalToken,
  listPersonalTokens,
  type PersonalToken,
  recordIdentityEvent,
  revokePersonalToken,
} from '../../domain/auth/index.ts';
import { displayName, UserService } from '../../domain/users/index.ts';
import type { Transactional } from '../../infra/database/connection.ts';
import type { Actor } from '../../shared/actor.ts';
import { ForbiddenError, NotFoundError, UsageError } from '../../shared/errors.ts';
import type { UserId } from '../../shared/ids.ts';
import { needsBoundTokens, unknownServer } from '../identity.ts';
import { instanceResource, type ResourceServers } from '../resources.ts';
import type { Entitlements } from './entitlements.ts';
import { checked } from './input.ts';
import { isAdmin, requireOwn } from './rights.ts';

const daySeconds = 86_400;
/** How long a token is good when nothing else is asked for. */
const defaultDays = 30;
const tokenName = displayName.pipe(z.string().max(100, 'must have 100 characters at most'));

export interface TokenRequest {
  readonly userId: UserId;
  readonly name: string;
  /** A resource server by name; without one the instance itself. */
  readonly server?: string | undefined;
  /** Without any: what the resource gives by default and the user may have. */
  readonly scopes?: readonly string[] | undefined;
  /** Up to the configured maximum; 30 days unless told. */
  readonly ttlSeconds?: number | undefined;
}

/** A token that was just made. */
export interface MadeToken extends PersonalToken {
  /** What its owner carries: shown this once, and kept nowhere. */
  readonly token: string;
}

/**
 * Personal access tokens: credentials of one user for one resource, with an end. A user makes and ends their own, an admin
 * those of everybody. A token never does more than its user may at the moment of the call.
 */
export class PersonalTokens {
  readonly #database: Transactional;
  readonly #resources: ResourceServers;
  readonly #entitlements: Entitlements;
  readonly #maxDays: number;

  constructor(deps: {
    readonly database: Transactional;
    readonly resources: ResourceServers;
    readonly entitlements: Entitlements;
    /** `security.personal_access_tokens.max_days` of the profile. */
    readonly maxDays: number;
  }) {
    this.#database = deps.database;
    this.#resources = deps.resources;
    this.#entitlements = deps.entitlements;
    this.#maxDays = deps.maxDays;
  }

  /**
   * Makes a token.
   * @throws ForbiddenError for scopes that the user may not have, or the token of somebody else; NotFoundError for a server;
   *   PreconditionError for one that takes bound tokens only; UsageError for a name, scope or life that can't be
   */
  async create(actor: Actor, request: TokenRequest): Promise<MadeToken> {
    const { userId } = request;
    requireOwn(actor, userId, 'Making tokens for others');
    const name = checked(tokenName, request.name, 'The name');
    const ttlSeconds = this.#ttl(request.ttlSeconds);
    const resource = this.#resources.byName(request.server ?? instanceResource);
    if (resource === undefined) throw unknownServer(request.server ?? instanceResource);
    // It is shown as it is, by whoever has it.
    if (resource.requireDpop) throw needsBoundTokens(resource.name);
    const user = await new UserService(this.#database).get(userId);
    // Whoever works with less than all of their own rights makes nothing that is more.
    const within = actor.userId === userId ? actor.scopes : undefined;
    const permitted = await this.#entitlements.permittedScopes({ userId, within }, resource);
    if (!permitted.active) throw new ForbiddenError(`The user ${user.name} is ${user.status}`);
    const asked = request.scopes ?? resource.defaultScopes.filter((scope) => permitted.scopes.has(scope));
    const scopes = [...new Set(asked)];
    const refused = scopes.filter((scope) => !permitted.scopes.has(scope));
    if (refused.length > 0) {
      throw new ForbiddenError(`${user.name} may not have: ${refused.join(', ')}`, {
        hint: `There may be: ${[...permitted.scopes].join(', ')}.`,
        data: { refused },
      });
    }
    if (request.scopes?.length === 0)
      throw new UsageError('A token has at least one scope', { hint: 'Name it with --scope.' });
    if (scopes.length === 0) {
      throw new ForbiddenError(`${user.name} may have none of what ${resource.name} gives by default`, {
        hint: `It gives: ${resource.defaultScopes.join(', ')}. Name another scope with --scope, or give the user what is missing.`,
        next: [
          request.server === undefined
            ? 'admin users list'
            : `admin access check --user ${user.name} --server ${request.server}`,
        ],
      });
    }
    const token = `sp_pat_${randomBytes(32).toString('base64url')}`;
    const made = await this.#database.transaction(async (tx) => {
      const kept = {
        userId,
        name,
        hash: hash('sha256', token, 'buffer'),
        audience: resource.audience,
        scopes,
        ttlSeconds,
      };
      const added = await insertPersonalToken(tx, kept);
      await recordIdentityEvent(tx, {
        type: 'token_created',
        userId,
        actorId: actor.userId,
        sessionId: added.sessionId,
        resource: resource.audience,
        data: { id: added.id, name, scopes, expires_at: added.expiresAt.toISOString() },
      });
      return added;
    });
    return { ...made, token };
  }

  /** Tokens of one user, or with an admin of all; with `all` those that ended too. @throws ForbiddenError */
  async list(
    actor: Actor,
    userId: UserId | undefined,
    options: { readonly all?: boolean; readonly limit?: number } = {},
  ): Promise<PersonalToken[]> {
    if (userId !== undefined || !isAdmin(actor)) requireOwn(actor, userId ?? actor.userId, 'The tokens of others');
    const whose = isAdmin(actor) ? userId : actor.userId;
    return listPersonalTokens(this.#database, whose, { all: options.all === true, limit: options.limit ?? 500 });
  }

  /** Ends a token at once; doing it again changes nothing. @throws NotFoundError, for a token of somebody else too */
  async revoke(actor: Actor, id: string): Promise<PersonalToken> {
    const found = z.uuid().safeParse(id).success ? await findPersonalToken(this.#database, id) : undefined;
    if (found === undefined || (found.userId !== actor.userId && !isAdmin(actor))) {
      throw new NotFoundError(`There is no token ${id.slice(0, 80)}`, { next: ['admin tokens list'] });
    }
    requireOwn(actor, found.userId, 'Ending the tokens of others');
    await this.#database.transaction(async (tx) => {
      if (!(await revokePersonalToken(tx, found))) return;
      await recordIdentityEvent(tx, {
        type: 'token_revoked',
        userId: found.userId,
        actorId: actor.userId,
        sessionId: found.sessionId,
        resource: found.audience,
        data: { id: found.id, name: found.name },
      });
    });
    return { ...found, state: found.state === 'expired' ? 'expired' : 'revoked' };
  }

  #ttl(seconds: number = Math.min(defaultDays, this.#maxDays) * daySeconds): number {
    const max = this.#maxDays * daySeconds;
    if (Number.isInteger(seconds) && seconds >= 60 && seconds <= max) return seconds;
    throw new UsageError(`A token is good for a minute at least, and for ${this.#maxDays} days at most`, {
      hint: 'How long at most is security.personal_access_tokens.max_days of the profile.',
      data: { ttlSeconds: seconds, max },
    });
  }
}
