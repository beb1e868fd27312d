import { createHash } from 'node:crypto';
import type Provider from 'oidc-provider';
import { errors, type TokenEndpointGrantContext } from 'oidc-provider';
import { authorization_code, device_code, refresh_token } from 'oidc-provider/lib/actions/grants/index.js';
import * as helpers from 'oidc-provider/lib/helpers/grants.js';
import { findRefreshWindow, insertRefreshWindow, recordIdentityEvent } from '../../domain/auth/index.ts';
import type { Queryable } from '../../infra/database/connection.ts';
import { type CodeAttempts, keptPace } from './device-attempts.ts';
import { idHash, type Seal } from './seal.ts';
import { type OAuthStore, UsedBefore } from './store.ts';
import { guarded } from './unavailable.ts';

export interface GrantDependencies {
  readonly store: OAuthStore;
  readonly database: Queryable;
  readonly seal: Seal;
  readonly codeAttempts: CodeAttempts;
  /** In seconds; 0 turns it off. */
  readonly reuseWindow: number;
}

type Exchange = (ctx: TokenEndpointGrantContext) => Promise<void>;

const builtIn = [authorization_code, refresh_token, device_code];

/**
 * Has each of the library's own grants run in one transaction: what is used up and what is issued for it are there
 * together or not at all, so that a crash between them loses nothing and nothing is issued twice (T1, T2).
 */
export function installGrants(provider: Provider, deps: GrantDependencies): void {
  const bound = Object.fromEntries(
    Object.entries(helpers).map(([name, helper]) => [
      name,
      (helper as (...args: never[]) => unknown).bind(undefined, provider as never),
    ]),
  );
  for (const { handler, parameters, grantType } of builtIn) {
    const exchange: Exchange = (ctx) => handler(provider, bound, ctx);
    const run = grantType === refresh_token.grantType ? refreshed(exchange, deps) : once(exchange, deps);
    const paced: Exchange = (ctx) => keptPace(() => run(ctx), ctx.oidc.params?.['device_code'], deps.codeAttempts);
    const work = grantType === device_code.grantType ? paced : run;
    const named = new Set([...parameters, 'resource']);
    provider.registerGrantType(grantType, (ctx) => guarded(() => work(ctx)), named, new Set(['resource']));
  }
}

/** Something that works once: whoever comes second ends what came of it for whoever was first, too. */
function once(exchange: Exchange, deps: GrantDependencies): Exchange {
  return async (ctx) => {
    try {
      await deps.store.exchange(async (tx) => {
        await exchange(ctx);
        await deps.store.later(record(tx, ctx, deps));
      });
    } catch (error) {
      if (!(error instanceof UsedBefore)) throw error;
      if (error.payload.grantId !== undefined) await deps.store.endGrant(error.payload.grantId, 'token_reuse');
      throw usedUp(error, 'it was used before');
    }
  };
}

/**
 * A refresh. Several processes of one client share a refresh token and refresh at the same moment (T3): within the window
 * the same request gets the same answer. A later or another one is misuse, and ends the sign-in (RFC 9700 section 4.14.2).
 */
function refreshed(exchange: Exchange, deps: GrantDependencies): Exchange {
  const { store, database, seal, reuseWindow } = deps;
  return async (ctx) => {
    const token = ctx.oidc.params['refresh_token'];
    if (typeof token !== 'string') return exchange(ctx); // which says what is missing
    const tokenHash = idHash(token);
    const requestHash = requestHashOf(ctx);
    try {
      await store.exchange(async (tx) => {
        await exchange(ctx);
        await deps.store.later(record(tx, ctx, deps));
        const used = ctx.oidc.entities.RotatedRefreshToken;
        if (reuseWindow === 0 || used?.grantId === undefined || used.jkt !== undefined || ctx.get('DPoP') !== '')
          return;
        const window = {
          tokenHash,
          requestHash,
          grantHash: idHash(used.grantId),
          sealed: seal.seal('refresh', ctx.body, token),
          ttlSeconds: reuseWindow,
        };
        await store.later(insertRefreshWindow(tx, window));
      });
    } catch (error) {
      if (!(error instanceof UsedBefore)) throw error;
      const { clientId, grantId } = error.payload;
      if (clientId !== ctx.oidc.client.clientId) throw usedUp(error, 'client mismatch');
      // A request with a key is another one: it does not get what was given to one without.
      const closed = reuseWindow === 0 || ctx.get('DPoP') !== '';
      const sealed = closed ? undefined : await findRefreshWindow(database, tokenHash, requestHash);
      if (sealed !== undefined) {
        ctx.body = seal.open('refresh', sealed, token);
        return;
      }
      if (grantId !== undefined) await store.endGrant(grantId, 'token_reuse');
      throw usedUp(error, 'refresh token already used');
    }
  };
}

/** The client is told no more than that the grant is no good; the log is told why. */
function usedUp(cause: Error, detail: string): errors.InvalidGrant {
  return new errors.InvalidGrant({ cause, detail });
}

/** What must be the same for a request to be the same: everything but how the client proved who it is. */
function requestHashOf({ oidc }: TokenEndpointGrantContext): Buffer {
  const { scope, resource } = oidc.params;
  const said = JSON.stringify([oidc.client.clientId, scope ?? null, resource ?? null]);
  return createHash('sha256').update(said).digest();
}

async function record(tx: Queryable, ctx: TokenEndpointGrantContext, { store }: GrantDependencies): Promise<void> {
  const { grant } = store;
  const token = ctx.oidc.entities.AccessToken;
  await recordIdentityEvent(tx, {
    type: 'token_issued',
    userId: grant?.user.id,
    clientId: ctx.oidc.client.clientId,
    sessionId: grant?.sessionId,
    resource: typeof token?.aud === 'string' ? token.aud : undefined,
    address: ctx.ip,
    data: { grant: ctx.oidc.params.grant_type, scope: token?.scope ?? '' },
  });
}
