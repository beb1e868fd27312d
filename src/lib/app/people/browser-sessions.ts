import {
  type BrowserSession,
  endBrowserSession,
  findBrowserSession,
  insertBrowserSession,
  type NewBrowserSession,
  recordIdentityEvent,
  replaceBrowserHash,
} from '../../domain/auth/index.ts';
import type { Database, Queryable } from '../../infra/database/connection.ts';
import { ForbiddenError, UnauthenticatedError } from '../../shared/errors.ts';
import { type CookieRequest, type CookieResponse, type Cookies, cookiesFor, hashOf, randomValue } from './cookies.ts';

export type { BrowserSession, SignInMethod } from '../../domain/auth/index.ts';

/** How long a browser stays signed in that is not used. */
const idleSeconds = 12 * 3600;
/** How long at most. */
const absoluteSeconds = 30 * 86_400;

/**
 * Who sits at a browser. The cookie carries 256 random bits, the database their hash; ending the row of `user_sessions`
 * (here, on the account page, by the CLI, by suspending the user) ends the session at the next request.
 */
export class BrowserSessions {
  readonly cookies: Cookies;
  readonly #database: Database;

  constructor(deps: { readonly database: Database; readonly externalUrl: string }) {
    this.#database = deps.database;
    this.cookies = cookiesFor(deps.externalUrl, absoluteSeconds);
  }

  /** Who is signed in at the browser that sent the request: the truth, asked of the database each time. */
  async current(request: CookieRequest): Promise<BrowserSession | undefined> {
    const value = this.cookies.session.read(request);
    return value === undefined ? undefined : findBrowserSession(this.#database, hashOf(value), idleSeconds);
  }

  /** As `current`. @throws UnauthenticatedError when nobody is signed in */
  async require(request: CookieRequest): Promise<BrowserSession> {
    const session = await this.current(request);
    if (session === undefined) throw new UnauthenticatedError('Sign in first', { data: { reason: 'no_session' } });
    return session;
  }

  /**
   * Signs a user in: always a new session with a new id. The one that the browser had before is ended, whoever's it was,
   * and so is the name by which the browser was known while nobody had signed in.
   * @param tx to begin it together with what else a sign-in changes
   * @throws ForbiddenError when the user may not sign in
   */
  async begin(
    request: CookieRequest,
    response: CookieResponse,
    session: Omit<NewBrowserSession, 'userAgent'>,
    tx?: Queryable,
  ): Promise<BrowserSession> {
    const value = randomValue();
    const before = this.cookies.session.read(request);
    const work = async (connection: Queryable): Promise<BrowserSession> => {
      const over = before === undefined ? undefined : await endBrowserSession(connection, hashOf(before));
      if (over !== undefined) {
        await recordIdentityEvent(connection, { type: 'sign_out', ...over, data: { by: 'sign_in' } });
      }
      const userAgent = request.headers['user-agent'];
      const kept = { ...session, userAgent, hash: hashOf(value), ttlSeconds: absoluteSeconds };
      const begun = await insertBrowserSession(connection, kept);
      if (begun === undefined) throw notAllowed();
      return begun;
    };
    const begun = await (tx === undefined ? this.#database.transaction(work) : work(tx));
    this.cookies.session.write(response, value);
    this.cookies.browser.clear(response);
    return begun;
  }

  /** The same session under a new id: after a change of what it may do. Nothing happens where nobody is signed in. */
  async rotate(request: CookieRequest, response: CookieResponse): Promise<void> {
    const before = this.cookies.session.read(request);
    if (before === undefined) return;
    const value = randomValue();
    const replaced = await replaceBrowserHash(this.#database, hashOf(before), hashOf(value));
    if (replaced) this.cookies.session.write(response, value);
  }

  /** Signs out at this browser: on the server, then in the browser. Gives who was signed in. */
  async end(
    request: CookieRequest,
    response: CookieResponse,
  ): Promise<Pick<BrowserSession, 'sessionId' | 'userId'> | undefined> {
    const value = this.cookies.session.read(request);
    const ended =
      value === undefined
        ? undefined
        : await this.#database.transaction(async (tx) => {
            const over = await endBrowserSession(tx, hashOf(value));
            if (over !== undefined) await recordIdentityEvent(tx, { type: 'sign_out', ...over });
            return over;
          });
    this.cookies.session.clear(response);
    this.cookies.browser.clear(response);
    return ended;
  }

  /** The value that this browser is known by, given to it if it has none yet. */
  browser(request: CookieRequest, response: CookieResponse): string {
    const known = this.cookies.browser.read(request);
    if (known !== undefined) return known;
    const value = randomValue();
    this.cookies.browser.write(response, value);
    return value;
  }
}

/** Whether the user proved to be there within the last `minutes`. */
export function isRecent(session: Pick<BrowserSession, 'authTime'>, minutes: number, now = Date.now()): boolean {
  return now - session.authTime.getTime() <= minutes * 60_000;
}

/**
 * For what must not be done by whoever finds a browser left alone.
 * @throws UnauthenticatedError with `data.reason` `recent_authentication`: send the browser to sign in and back
 */
export function requireRecent(session: Pick<BrowserSession, 'authTime'>, minutes: number): void {
  if (isRecent(session, minutes)) return;
  throw new UnauthenticatedError('Sign in again to do this: your last sign-in was a while ago', {
    data: { reason: 'recent_authentication', within_minutes: minutes },
  });
}

function notAllowed(): ForbiddenError {
  return new ForbiddenError('This user may not sign in', { data: { reason: 'user' } });
}
