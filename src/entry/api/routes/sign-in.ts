import type { FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify';
import type { People } from '../../../lib/app/people/open.ts';
import { accountPath, safeReturnTo } from '../../../lib/app/people/return-to.ts';
import { browserName } from '../../../lib/app/people/user-agent.ts';
import { AppError, UnauthenticatedError } from '../../../lib/shared/errors.ts';
import { onlyAtPublishedAddress } from '../pages/address.ts';
import { CsrfTokens, fieldOf } from '../pages/forms.ts';
import { page } from '../pages/layout.ts';
import { goTo, servePages, signInPath } from '../pages/session.ts';
import { deadLinkPage, linkPage, mailSentPage, setupPage, signInPage } from '../pages/sign-in.ts';
import { toAnswer } from '../problem.ts';

/** What sign-in stands on. */
export interface SignInDependencies {
  readonly people: People;
  readonly externalUrl: string;
  readonly web: { readonly otherAddresses: readonly string[] };
}

const tokenForm = /^[A-Za-z0-9_-]{43}$/;
const linkMinutes = 10;
const options = { schema: { hide: true }, config: { rateGroup: 'oauth_auth' } } as const;

interface Query {
  readonly Querystring: Readonly<Record<string, unknown>>;
}

/** The pages that let somebody in: the choice, links from mails, links for the first passkey, other providers. */
export function signInRoutes(deps: SignInDependencies): FastifyPluginAsync {
  const { people } = deps;
  const { sessions, mailLinks, setupLinks, federation, addressOf } = people;
  const csrf = new CsrfTokens(sessions.cookies.browser);

  /** Refuses forms that a page of ours did not send. */
  const checkForm = async (request: FastifyRequest): Promise<void> => {
    csrf.check(request, (await sessions.current(request))?.sessionId);
  };
  const choice = async (
    request: FastifyRequest,
    reply: FastifyReply,
    view: { readonly returnTo: string; readonly error?: string; readonly notice?: string; readonly status?: number },
  ): Promise<FastifyReply> => {
    const session = await sessions.current(request);
    const token = csrf.issue(request, reply, session?.sessionId);
    return page(
      reply,
      signInPage({ ...view, csrf: token, providers: federation.providers, mail: mailLinks.available }),
    );
  };

  return async (app) => {
    servePages(app);
    onlyAtPublishedAddress(app, { externalUrl: deps.externalUrl, otherAddresses: deps.web.otherAddresses });

    app.get<Query>('/auth/sign-in', options, async (request, reply) => {
      const returnTo = safeReturnTo(request.query['return_to']) ?? accountPath;
      const fresh = request.query['fresh'] === '1';
      const session = await sessions.current(request);
      if (session !== undefined && !fresh) return goTo(reply, returnTo);
      const notice = fresh && session !== undefined ? 'Sign in once more to go on: it is still you?' : undefined;
      return choice(request, reply, { returnTo, ...(notice === undefined ? {} : { notice }) });
    });

    app.post('/auth/sign-in', options, async (request, reply) => {
      await checkForm(request);
      const email = fieldOf(request, 'email') ?? '';
      const returnTo = safeReturnTo(fieldOf(request, 'return_to')) ?? accountPath;
      await mailLinks.request(request, reply.raw, { mail: email, returnTo, address: addressOf(request.raw) });
      return page(
        reply,
        mailSentPage({ email: email.slice(0, 254), minutes: linkMinutes, returnTo, intoFiles: mailLinks.intoFiles }),
      );
    });

    app.get<Query>('/auth/link', options, async (request, reply) => {
      const { token } = request.query;
      if (typeof token !== 'string' || !tokenForm.test(token)) return page(reply, deadLinkPage());
      const session = await sessions.current(request);
      return page(
        reply,
        linkPage({ csrf: csrf.issue(request, reply, session?.sessionId), action: '/auth/link', token }),
      );
    });

    app.post('/auth/link', options, async (request, reply) => {
      await checkForm(request);
      const token = fieldOf(request, 'token') ?? '';
      try {
        const { returnTo } = await mailLinks.redeem(request, reply.raw, { token, address: addressOf(request.raw) });
        return goTo(reply, returnTo ?? accountPath);
      } catch (error) {
        if (!(error instanceof UnauthenticatedError)) throw error;
        return page(reply, deadLinkPage());
      }
    });

    app.get<Query>('/auth/owner', options, async (request, reply) => {
      const { token } = request.query;
      const session = await sessions.current(request);
      if (token === undefined) {
        if (session === undefined) return goTo(reply, signInPath('/auth/owner'));
        return page(
          reply,
          setupPage({
            csrf: csrf.issue(request, reply, session.sessionId),
            userName: session.userName,
            returnTo: accountPath,
            device: browserName(request.headers['user-agent']),
            owner: session.userName === 'owner' && (await people.passkeys.list(session.userId)).length === 0,
          }),
        );
      }
      if (typeof token !== 'string' || !tokenForm.test(token)) return page(reply, deadLinkPage('setup'));
      const form = csrf.issue(request, reply, session?.sessionId);
      return page(reply, linkPage({ csrf: form, action: '/auth/owner', token, setup: true }));
    });

    app.post('/auth/owner', options, async (request, reply) => {
      await checkForm(request);
      const token = fieldOf(request, 'token') ?? '';
      try {
        await setupLinks.redeem(request, reply.raw, { token, address: addressOf(request.raw) });
        return goTo(reply, '/auth/owner');
      } catch (error) {
        if (!(error instanceof UnauthenticatedError)) throw error;
        return page(reply, deadLinkPage('setup'));
      }
    });

    app.get<Query & { Params: { id: string } }>('/auth/federation/:id/start', options, async (request, reply) => {
      const returnTo = safeReturnTo(request.query['return_to']) ?? accountPath;
      const link = request.query['link'] === '1';
      // Only by a press on a page of ours: no other site sends a browser to a provider, or has an identity linked.
      const from = request.headers['sec-fetch-site'];
      if (from !== 'same-origin' && (link || from !== undefined)) {
        return goTo(reply, link ? accountPath : signInPath(returnTo));
      }
      const session = link ? await sessions.require(request) : undefined;
      const address = addressOf(request.raw);
      const given = { returnTo, address, ...(session === undefined ? {} : { link: session }) };
      try {
        return goTo(reply, await federation.start(request, reply.raw, request.params.id, given));
      } catch (error) {
        return failed(error, request, reply, returnTo);
      }
    });

    app.get<{ Params: { id: string } }>('/auth/federation/:id/callback', options, async (request, reply) => {
      const given = { url: request.url, address: addressOf(request.raw) };
      try {
        const { returnTo, linked } = await federation.callback(request, reply.raw, request.params.id, given);
        return goTo(reply, linked ? `${accountPath}?added=linked` : (returnTo ?? accountPath));
      } catch (error) {
        return failed(error, request, reply, accountPath);
      }
    });

    /** Back to the choice, which says what went wrong; what no choice mends is an error page. */
    async function failed(
      thrown: unknown,
      request: FastifyRequest,
      reply: FastifyReply,
      returnTo: string,
    ): Promise<FastifyReply> {
      const { error, status } = toAnswer(thrown);
      const told = ['provider', 'state', 'not_linked'].includes(String(error.data['reason']));
      if (!(thrown instanceof AppError) || !(told || error.code === 'UPSTREAM_FAILED')) throw thrown;
      const text = [error.message, error.hint].filter((part) => part !== undefined).join('. ');
      return choice(request, reply, { returnTo, error: text, status });
    }
  };
}
