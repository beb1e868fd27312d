import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { BrowserSession, BrowserSessions } from '../../../lib/app/people/browser-sessions.ts';
import { UnauthenticatedError } from '../../../lib/shared/errors.ts';
import { titleOf, toAnswer } from '../problem.ts';
import { plainErrorPage } from './error.ts';
import { acceptForms, CsrfTokens } from './forms.ts';
import { page } from './layout.ts';

/** What pages for somebody who is signed in stand on. */
export interface PageSessions {
  readonly browser: Pick<BrowserSessions, 'current' | 'end' | 'cookies'>;
}

/** Sends the browser on. Always by 303, so that it follows with GET and a form is never sent twice (RFC 9700 section 4.12). */
export function goTo(reply: FastifyReply, location: string): FastifyReply {
  return reply.code(303).headers({ location, 'cache-control': 'no-store', 'referrer-policy': 'no-referrer' }).send();
}

/** Where somebody signs in and comes back from. @param fresh although they are signed in */
export function signInPath(returnTo: string, fresh = false): string {
  return `/auth/sign-in?return_to=${encodeURIComponent(returnTo)}${fresh ? '&fresh=1' : ''}`;
}

/** Makes a plugin one of pages: it takes forms, and its errors are pages too. */
export function servePages(app: FastifyInstance): void {
  acceptForms(app);
  app.setErrorHandler((thrown: FastifyError, request, reply) => {
    const { error, status } = toAnswer(thrown);
    // Scripts, and whoever asks for JSON, get the problem document of all other routes.
    if (!wantsPage(request)) throw thrown;
    if (error instanceof UnauthenticatedError && error.data['reason'] === 'no_session') {
      return goTo(reply, signInPath(request.method === 'GET' ? request.url : '/auth/account'));
    }
    if (error instanceof UnauthenticatedError && error.data['reason'] === 'recent_authentication') {
      return goTo(reply, signInPath('/auth/account', true));
    }
    if (status >= 500) request.log.error({ err: thrown, code: error.code }, error.message);
    const retry = error.data['retry_after_seconds'];
    if (typeof retry === 'number') reply.header('retry-after', retry);
    const own = status < 500;
    return page(
      reply,
      plainErrorPage({
        status,
        title: titleOf(error.code),
        message: own ? error.message : undefined,
        hint: own ? error.hint : `Try again in a minute. The log tells more under ${request.id}.`,
      }),
    );
  });
}

/** Whether a person's browser opens an address, rather than a program that asks for it. */
export function opensPages({ method, headers }: FastifyRequest): boolean {
  return method === 'GET' && (headers.accept ?? '').includes('text/html');
}

function wantsPage({ headers }: FastifyRequest): boolean {
  return !(headers['content-type'] ?? '').startsWith('application/json') && !(headers.accept ?? '').includes('json');
}

/** A page's visitor: who it is, and the token for its forms. */
export class Visitors {
  readonly #sessions: PageSessions['browser'];
  readonly #csrf: CsrfTokens;

  constructor({ browser }: PageSessions) {
    this.#sessions = browser;
    this.#csrf = new CsrfTokens(browser.cookies.browser);
  }

  current(request: FastifyRequest): Promise<BrowserSession | undefined> {
    return this.#sessions.current(request);
  }

  /** @throws UnauthenticatedError when nobody is signed in: the browser is sent to sign in */
  async require(request: FastifyRequest): Promise<BrowserSession> {
    const session = await this.current(request);
    if (session === undefined) throw new UnauthenticatedError('Sign in first', { data: { reason: 'no_session' } });
    return session;
  }

  token(request: FastifyRequest, reply: FastifyReply, session: BrowserSession | undefined): string {
    return this.#csrf.issue(request, reply, session?.sessionId);
  }

  /** Who sent this form. @throws ForbiddenError when a page of ours to this session did not */
  async sender(request: FastifyRequest): Promise<BrowserSession> {
    const session = await this.require(request);
    this.#csrf.check(request, session.sessionId);
    return session;
  }
}
