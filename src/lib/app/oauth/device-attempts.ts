import { errors, type KoaContextWithOIDC } from 'oidc-provider';
import { RateLimitedError } from '../../shared/errors.ts';
import type { WhoIsThere } from './consent.ts';
import { show } from './device-pages.ts';
import type { OAuthPages } from './pages.ts';
import { oauthRoutes } from './paths.ts';
import { guarded } from './unavailable.ts';

/** Whom an entered code counts for. */
interface Subject {
  readonly address?: string | undefined;
  readonly account?: string | undefined;
}

/** Counts guesses at the codes that devices show, for all processes together (RFC 8628 section 5.1). */
export interface CodeAttempts {
  /** @throws RateLimitedError */
  take(door: 'device_code' | 'device_poll', subject: Subject): Promise<void>;
  /** It was no guess. */
  forgive(door: 'device_code', subject: Subject): Promise<void>;
}

/** Has a device that asks too often wait longer; one that is answered is never too early. */
export async function keptPace(poll: () => Promise<void>, deviceCode: unknown, attempts: CodeAttempts): Promise<void> {
  try {
    await poll();
  } catch (error) {
    if (!(error instanceof errors.AuthorizationPending)) throw error;
    try {
      await attempts.take('device_poll', { account: String(deviceCode) });
    } catch (early) {
      throw early instanceof RateLimitedError ? new errors.SlowDown() : early;
    }
    throw error;
  }
}

/** Counts each code that is entered, before it is looked at, against the browser's address and whoever is signed in. */
export async function countCodes(
  ctx: KoaContextWithOIDC,
  next: () => Promise<void>,
  deps: { readonly browser: WhoIsThere; readonly codeAttempts: CodeAttempts; readonly pages: OAuthPages },
): Promise<void> {
  if (ctx.method !== 'POST' || ctx.path !== oauthRoutes.code_verification) return next();
  const there = await guarded(() => deps.browser.current(ctx.req));
  const subject = { address: ctx.ip, account: there?.userId };
  try {
    await guarded(() => deps.codeAttempts.take('device_code', subject));
  } catch (error) {
    if (!(error instanceof RateLimitedError)) throw error;
    const description = [error.message, error.hint].filter((part) => part !== undefined).join('. ');
    show(ctx, deps.pages.error({ status: 429, error: 'slow_down', description }));
    ctx.set('retry-after', String(error.data['retry_after_seconds']));
    return;
  }
  await next();
  if (ctx.oidc?.entities.DeviceCode !== undefined)
    await guarded(() => deps.codeAttempts.forgive('device_code', subject));
}
