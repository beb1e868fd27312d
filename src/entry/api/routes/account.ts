import type { FastifyPluginAsync, FastifyRequest } from 'fastify';
import type { BrowserSession } from '../../../lib/app/people/browser-sessions.ts';
import { isRecent } from '../../../lib/app/people/browser-sessions.ts';
import { NotFoundError, UsageError } from '../../../lib/shared/errors.ts';
import { type AccountView, accountPage } from '../pages/account.ts';
import { onlyAtPublishedAddress } from '../pages/address.ts';
import { type FormFields, fieldOf } from '../pages/forms.ts';
import { page } from '../pages/layout.ts';
import { goTo, opensPages, type PageSessions, servePages, Visitors } from '../pages/session.ts';
import { signedOutPage, signOutPage } from '../pages/sign-in.ts';

/** Kinds of what acts in a user's name, as they stand in addresses, and what is said when one was ended. */
const ended = {
  passkeys: 'The passkey is removed. Sign-ins that were begun with it are over.',
  federated: 'The account there is unlinked. Sign-ins that were begun with it are over.',
  sessions: 'The sign-in is over.',
  connected: 'The application is disconnected. It can do nothing in your name any more.',
  tokens: 'The token is revoked.',
} as const;

const added = {
  passkey: 'The passkey is added.',
  linked: 'The account is linked: you can sign in with it.',
  'signed-in': 'You are signed in at the server: it is used from the next call on.',
  server: 'It goes to the server from the next call on.',
  'no-server': 'It is erased: nothing goes to the server any more.',
} as const;

type AccountKind = keyof typeof ended;

/** What the account page stands on. */
interface AccountPort {
  overview(
    session: BrowserSession,
  ): Promise<
    Pick<
      AccountView,
      'user' | 'passkeys' | 'federated' | 'linkable' | 'sessions' | 'connected' | 'tokens' | 'servers' | 'signIns'
    >
  >;
  /** @throws NotFoundError when the user has nothing of that kind and id; UnauthenticatedError for a stale sign-in */
  end(session: BrowserSession, kind: AccountKind, id: string, address: string | undefined): Promise<void>;
  /** @throws NotFoundError, PreconditionError, UsageError */
  connect(
    session: BrowserSession,
    server: string,
    values: ReadonlyMap<string, string>,
    address: string | undefined,
  ): Promise<void>;
  /** @throws NotFoundError when the user has brought nothing */
  disconnect(session: BrowserSession, server: string, address: string | undefined): Promise<void>;
}

/** How old a sign-in may be for what is sensitive. */
const recentMinutes = 10;
/** Of the fields with what is given for a server. */
const valuePrefix = 'value.';
const idForm = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** Everything that acts in the name of who is signed in, each with the way to end it, and signing out. */
export function accountRoutes(
  deps: PageSessions & {
    readonly account: AccountPort;
    readonly addressOf: (request: FastifyRequest['raw']) => string | undefined;
    readonly externalUrl: string;
    readonly web: { readonly otherAddresses: readonly string[] };
  },
): FastifyPluginAsync {
  const { account, browser, addressOf } = deps;
  const visitors = new Visitors(deps);
  const options = { schema: { hide: true }, config: { rateGroup: 'oauth_auth' } } as const;

  return async (app) => {
    servePages(app);
    onlyAtPublishedAddress(app, { externalUrl: deps.externalUrl, otherAddresses: deps.web.otherAddresses });

    // Whoever types the address that a start prints.
    for (const address of ['/', '/auth']) {
      app.get(address, options, async (request, reply) => {
        if (!opensPages(request)) return reply.callNotFound();
        return goTo(reply, '/auth/account');
      });
    }

    app.get<{ Querystring: { done?: string; added?: string } }>('/auth/account', options, async (request, reply) => {
      const session = await visitors.require(request);
      const csrf = visitors.token(request, reply, session);
      const done = textOf(ended, request.query.done) ?? textOf(added, request.query.added);
      const recent = isRecent(session, recentMinutes);
      return page(reply, accountPage({ ...(await account.overview(session)), csrf, recent, done }));
    });

    app.post<{ Params: { kind: string; id: string } }>(
      '/auth/account/:kind/:id/end',
      options,
      async (request, reply) => {
        const session = await visitors.sender(request);
        const { kind, id } = request.params;
        if (!isKind(kind) || !idForm.test(id)) throw new NotFoundError('You have nothing like that');
        if (kind === 'sessions' && id === session.sessionId) {
          await browser.end(request, reply.raw);
          return goTo(reply, '/auth/signed-out');
        }
        await account.end(session, kind, id, addressOf(request.raw));
        return goTo(reply, `/auth/account?done=${kind}`);
      },
    );

    app.post<{ Params: { server: string } }>(
      '/auth/account/servers/:server/connect',
      options,
      async (request, reply) => {
        const session = await visitors.sender(request);
        const values = valuesIn(request);
        if (values.size === 0)
          throw new UsageError('Nothing was given', { hint: 'Go back and fill in what is wanted.' });
        await account.connect(session, request.params.server, values, addressOf(request.raw));
        return goTo(reply, '/auth/account?added=server');
      },
    );

    app.post<{ Params: { server: string } }>(
      '/auth/account/servers/:server/disconnect',
      options,
      async (request, reply) => {
        const session = await visitors.sender(request);
        await account.disconnect(session, request.params.server, addressOf(request.raw));
        return goTo(reply, '/auth/account?added=no-server');
      },
    );

    app.get('/auth/sign-out', options, async (request, reply) => {
      const session = await visitors.current(request);
      if (session === undefined) return goTo(reply, '/auth/signed-out');
      const csrf = visitors.token(request, reply, session);
      return page(reply, signOutPage({ csrf, userName: session.userName }));
    });

    app.post('/auth/sign-out', options, async (request, reply) => {
      await visitors.sender(request);
      await browser.end(request, reply.raw);
      return goTo(reply, '/auth/signed-out');
    });

    app.get('/auth/signed-out', options, async (_request, reply) => page(reply, signedOutPage()));
  };
}

/** What was given for a server, by name; what was left empty stays as it is. */
function valuesIn(request: FastifyRequest): Map<string, string> {
  const values = new Map<string, string>();
  for (const field of Object.keys((request.body as FormFields | undefined) ?? {})) {
    const value = field.startsWith(valuePrefix) ? fieldOf(request, field) : undefined;
    if (value !== undefined) values.set(field.slice(valuePrefix.length), value);
  }
  return values;
}

function isKind(kind: string): kind is AccountKind {
  return Object.hasOwn(ended, kind);
}

function textOf(texts: Readonly<Record<string, string>>, name: unknown): string | undefined {
  return typeof name === 'string' && Object.hasOwn(texts, name) ? texts[name] : undefined;
}
