import type { FastifyPluginAsync, FastifyRequest } from 'fastify';
import type { Account } from '../../../lib/app/people/account.ts';
import { onlyAtPublishedAddress } from '../pages/address.ts';
import { goTo, type PageSessions, servePages, signInPath, Visitors } from '../pages/session.ts';

interface Server {
  readonly Params: { readonly server: string };
}

const accountPath = '/auth/account';

/** Signing in at MCP servers elsewhere: the way there, each server's own way back, and who we are to it. */
export function connectionRoutes(
  deps: PageSessions & {
    readonly account: Pick<Account, 'signInAt' | 'signedInAt' | 'clientDocument'>;
    readonly addressOf: (request: FastifyRequest['raw']) => string | undefined;
    readonly externalUrl: string;
    readonly web: { readonly otherAddresses: readonly string[] };
  },
): FastifyPluginAsync {
  const { account, addressOf } = deps;
  const visitors = new Visitors(deps);
  const options = { schema: { hide: true }, config: { rateGroup: 'oauth_auth' } } as const;

  return async (app) => {
    servePages(app);
    onlyAtPublishedAddress(app, { externalUrl: deps.externalUrl, otherAddresses: deps.web.otherAddresses });

    app.get<Server>('/auth/servers/:server/start', options, async (request, reply) => {
      // Only by a press on a page of ours: no other site has a user connected with a server.
      if (request.headers['sec-fetch-site'] !== 'same-origin') return goTo(reply, `${accountPath}#servers`);
      const session = await visitors.require(request);
      const address = addressOf(request.raw);
      return goTo(reply, await account.signInAt(request, reply.raw, session, request.params.server, address));
    });

    app.get<Server>('/auth/servers/:server/callback', options, async (request, reply) => {
      const session = await visitors.current(request);
      // What the address says is good in the session alone that it was begun in.
      if (session === undefined) return goTo(reply, signInPath(accountPath));
      const given = { url: request.url, address: addressOf(request.raw) };
      await account.signedInAt(request, session, request.params.server, given);
      return goTo(reply, `${accountPath}?added=signed-in#servers`);
    });

    app.get<Server>('/auth/servers/:server/client.json', options, async (request, reply) =>
      reply
        .type('application/json')
        .header('cache-control', 'public, max-age=300')
        .send(JSON.stringify(account.clientDocument(request.params.server))),
    );
  };
}
