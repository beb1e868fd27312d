import {
  confirmMail,
  findPersonByMail,
  insertStep,
  recordIdentityEvent,
  stepUser,
  takeStep,
} from '../../domain/auth/index.ts';
import type { Database } from '../../infra/database/connection.ts';
import type { Logger } from '../../infra/logging/logger.ts';
import type { Mailer } from '../../infra/mail/mailer.ts';
import { PreconditionError, RateLimitedError, UnauthenticatedError } from '../../shared/errors.ts';
import { normaliseMailAddress } from '../../shared/mail-address.ts';
import type { BrowserSession, BrowserSessions } from './browser-sessions.ts';
import { type CookieRequest, type CookieResponse, hashOf, randomValue } from './cookies.ts';
import type { Throttle } from './throttle.ts';

const linkMinutes = 10;

/** What a sign-in by mail link came to. */
export interface SignedIn {
  readonly session: BrowserSession;
  /** Where the browser wanted to go: a path of ours. */
  readonly returnTo?: string | undefined;
}

/**
 * Links to sign in with, sent by mail: good for ten minutes, once, in the browser that asked. Who asks is answered
 * before anything is looked up, so that neither answer nor time tell whether somebody has that address.
 */
export class MailLinks {
  readonly #database: Database;
  readonly #sessions: BrowserSessions;
  readonly #throttle: Throttle;
  readonly #mailer: Mailer | undefined;
  readonly #externalUrl: string;
  readonly #log: Pick<Logger, 'info' | 'warn' | 'error'>;
  readonly #pending = new Set<Promise<void>>();

  /** @param mailer absent where there is no sign-in by mail */
  constructor(deps: {
    readonly database: Database;
    readonly sessions: BrowserSessions;
    readonly throttle: Throttle;
    readonly mailer: Mailer | undefined;
    readonly externalUrl: string;
    readonly log: Pick<Logger, 'info' | 'warn' | 'error'>;
  }) {
    this.#database = deps.database;
    this.#sessions = deps.sessions;
    this.#throttle = deps.throttle;
    this.#mailer = deps.mailer;
    this.#externalUrl = deps.externalUrl;
    this.#log = deps.log;
  }

  /** Whether mails can be sent. */
  get available(): boolean {
    return this.#mailer !== undefined;
  }

  /** Whether mails go into files of the instance, for want of a mail server. */
  get intoFiles(): boolean {
    return this.#mailer?.kind === 'outbox';
  }

  /**
   * Has a link sent, if a user has that address. What comes of it nobody is told but the mailbox.
   * @throws RateLimitedError for the address that the request came from; PreconditionError without a mail server
   */
  async request(
    request: CookieRequest,
    response: CookieResponse,
    given: {
      readonly mail: string;
      readonly returnTo?: string | undefined;
      readonly address?: string | undefined;
    },
  ): Promise<void> {
    const mailer = this.#mailer;
    if (mailer === undefined) throw noMail();
    await this.#throttle.take('mail_request', { address: given.address });
    const browser = hashOf(this.#sessions.browser(request, response));
    const work = this.#send(mailer, browser, given).catch((err: unknown) => {
      this.#log.error({ err }, 'A link to sign in with could not be sent');
    });
    this.#pending.add(work);
    void work.finally(() => this.#pending.delete(work));
  }

  /**
   * Signs in by a link, and uses it up.
   * @throws UnauthenticatedError, saying the same whatever it was; RateLimitedError
   */
  async redeem(
    request: CookieRequest,
    response: CookieResponse,
    given: { readonly token: string; readonly address?: string | undefined },
  ): Promise<SignedIn> {
    const { address } = given;
    await this.#throttle.take('mail_link', { address });
    const account = await stepUser(this.#database, hashOf(given.token));
    await this.#throttle.take('mail_link', { account });
    const browser = this.#sessions.cookies.browser.read(request);
    const result = await this.#database.transaction(async (tx) => {
      const step =
        browser &&
        (await takeStep(tx, { purposes: ['mail_link'], hash: hashOf(given.token), browser: hashOf(browser) }));
      if (!step || step.userId === undefined || step.mail === undefined) return undefined;
      const { userId, mail, returnTo } = step;
      // The address may have become another's since.
      if (!(await confirmMail(tx, userId, mail))) return undefined;
      const session = await this.#sessions.begin(request, response, { userId, methods: ['mail_link'] }, tx);
      const { sessionId } = session;
      await recordIdentityEvent(tx, { type: 'link_used', userId, sessionId, address, data: { purpose: 'mail_link' } });
      await recordIdentityEvent(tx, { type: 'sign_in', userId, sessionId, address, data: { method: 'mail_link' } });
      return { session, returnTo };
    });
    if (result === undefined) {
      const data = { method: 'mail_link', reason: browser === undefined ? 'other_browser' : 'link' };
      await recordIdentityEvent(this.#database, { type: 'sign_in_failed', address, data });
      throw refused();
    }
    await this.#throttle.forgive('mail_link', { address, account });
    return result;
  }

  /** Waits for what is still being sent. */
  async close(): Promise<void> {
    await Promise.allSettled(this.#pending);
    this.#mailer?.close();
  }

  async #send(
    mailer: Mailer,
    browser: Buffer,
    given: { readonly mail: string; readonly returnTo?: string | undefined; readonly address?: string | undefined },
  ): Promise<void> {
    const mail = normaliseMailAddress(given.mail);
    if (mail === undefined) return;
    try {
      await this.#throttle.take('mail_request', { account: mail });
    } catch (error) {
      if (!(error instanceof RateLimitedError)) throw error;
      this.#log.warn({ address: given.address }, 'Too many mails were asked for one address: none is sent for a while');
      return;
    }
    const user = await findPersonByMail(this.#database, mail);
    if (user === undefined) return;
    const token = randomValue();
    await this.#database.transaction(async (tx) => {
      await insertStep(tx, {
        purpose: 'mail_link',
        hash: hashOf(token),
        browser,
        userId: user.id,
        mail,
        returnTo: given.returnTo,
        ttlSeconds: linkMinutes * 60,
      });
      const data = { purpose: 'mail_link', by: mailer.kind };
      await recordIdentityEvent(tx, { type: 'link_sent', userId: user.id, address: given.address, data });
    });
    const { file } = await mailer.send({
      to: mail,
      subject: `Sign in to ${new URL(this.#externalUrl).host}`,
      text: text(user.displayName, `${this.#externalUrl}/auth/link?token=${token}`, this.#externalUrl),
    });
    if (file !== undefined) {
      this.#log.warn({ file }, 'There is no mail server (mail.smtp): the link to sign in with is in a file');
    }
  }
}

function text(name: string, link: string, externalUrl: string): string {
  return [
    `Hello ${name.replace(/[\p{Cc}\p{Cf}]/gu, ' ')},`,
    '',
    `open this in the browser in which you asked for it, to sign in to ${externalUrl}:`,
    '',
    link,
    '',
    `It works once, for ${linkMinutes} minutes. If you did not ask for it, do nothing: without your browser it is of no use.`,
  ].join('\n');
}

function refused(): UnauthenticatedError {
  return new UnauthenticatedError('This link does not work here', {
    hint: 'Links work once, for ten minutes, in the browser in which they were asked for. Ask for a new one.',
    data: { reason: 'link' },
  });
}

function noMail(): PreconditionError {
  return new PreconditionError('This instance sends no mail', { hint: 'Sign in by passkey.' });
}
