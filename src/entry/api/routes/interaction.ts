import type { IncomingMessage, ServerResponse } from 'node:http';
import type { FastifyPluginAsync, FastifyRequest } from 'fastify';
import { NotFoundError, UsageError } from '../../../lib/shared/errors.ts';
import type { UserId } from '../../../lib/shared/ids.ts';
import { type ConsentView, consentPage, scopeField } from '../pages/consent.ts';
import { type FormFields, fieldOf } from '../pages/forms.ts';
import { page } from '../pages/layout.ts';
import { goTo, type PageSessions, servePages, signInPath, Visitors } from '../pages/session.ts';
import { onwardPage } from '../pages/sign-in.ts';

/** What a request for authorization waits for. */
interface Interaction extends Pick<ConsentView, 'uid' | 'client' | 'resources' | 'oidcScopes' | 'device'> {
  readonly prompt: 'login' | 'consent';
  readonly params: { readonly redirectUri: string | undefined; readonly loginHint?: string | undefined };
  /** The user must have proved to be there at or after this. */
  readonly freshSince: Date | undefined;
}

type Exchange = readonly [request: IncomingMessage, response: ServerResponse];

/** The authorization server's side of it; each of its ways on is an address to send the browser to. */
export interface InteractionPort {
  find(...exchange: Exchange): Promise<Interaction>;
  login(
    ...given: readonly [
      ...Exchange,
      { readonly userId: UserId; readonly authTime: Date; readonly methods: readonly string[] },
    ]
  ): Promise<string>;
  consent(...given: readonly [...Exchange, ReadonlyMap<string, readonly string[]>]): Promise<string>;
  deny(...exchange: Exchange): Promise<string>;
}

interface Params {
  readonly Params: { readonly uid: string };
}

/** Where the authorization server sends browsers: to sign in, and to say what a client may do. */
export function interactionRoutes(deps: PageSessions & { readonly interactions: InteractionPort }): FastifyPluginAsync {
  const { interactions } = deps;
  const visitors = new Visitors(deps);
  const options = { schema: { hide: true }, config: { rateGroup: 'oauth_auth' } } as const;

  const find = async (request: FastifyRequest<Params>, response: ServerResponse): Promise<Interaction> => {
    const interaction = await interactions.find(request.raw, response);
    if (interaction.uid === request.params.uid) return interaction;
    throw new NotFoundError('Another sign-in was begun in this browser meanwhile', {
      hint: 'Go back to the application and begin again.',
    });
  };

  return async (app) => {
    servePages(app);

    app.get<Params>('/auth/interaction/:uid', options, async (request, reply) => {
      const interaction = await find(request, reply.raw);
      const { uid, client, resources, oidcScopes, device, freshSince, params } = interaction;
      const session = await visitors.current(request);
      const here = `/auth/interaction/${encodeURIComponent(uid)}`;
      const stale = session !== undefined && freshSince !== undefined && session.authTime < freshSince;
      if (session === undefined || (interaction.prompt === 'login' && stale)) {
        return goTo(reply, signInPath(here, stale));
      }
      if (interaction.prompt === 'login') {
        const location = await interactions.login(request.raw, reply.raw, session);
        // From here it may go straight to the client, and browsers hold such redirects against the page of ours whose
        // form began them: a page between ends the chain. Programs that follow redirects need none.
        return request.headers['sec-fetch-dest'] === 'document'
          ? page(reply, onwardPage(location))
          : goTo(reply, location);
      }
      const { userName } = session;
      const csrf = visitors.token(request, reply, session);
      const { redirectUri } = params;
      return page(reply, consentPage({ uid, csrf, userName, client, redirectUri, device, resources, oidcScopes }));
    });

    app.post<Params>('/auth/interaction/:uid', options, async (request, reply) => {
      await visitors.sender(request);
      const { resources, prompt } = await find(request, reply.raw);
      if (prompt !== 'consent') throw new UsageError('Nothing waits for a decision here');
      const decision = fieldOf(request, 'decision');
      if (decision === 'deny') return goTo(reply, await interactions.deny(request.raw, reply.raw));
      if (decision !== 'allow') throw new UsageError('Say whether to allow or to deny it');
      const fields = (request.body ?? {}) as FormFields;
      const ticked = resources.map(({ resource, asked }, index) => {
        const names = [fields[scopeField(index)] ?? []].flat();
        return [resource.audience, asked.map(({ name }) => name).filter((name) => names.includes(name))] as const;
      });
      return goTo(reply, await interactions.consent(request.raw, reply.raw, new Map(ticked)));
    });
  };
}
