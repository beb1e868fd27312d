import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import Provider from 'oidc-provider';

/** What a provider says of its user. */
export interface Profile {
  readonly sub: string;
  readonly email?: string;
  readonly email_verified?: boolean;
  readonly name?: string;
}

export interface OtherProvider {
  readonly issuer: string;
  /** Who signs in next, and consents to everything. */
  next: Profile;
  /** Walks from the authorization request to the way back: gives the address that the browser is sent to. */
  walk(url: string): Promise<string>;
  close(): Promise<void>;
}

const secret = 'a-secret-of-the-other-provider-0123456789';
export const otherClient = { id: 'systemprompt', secret };

/** Another company's OpenID provider on a real socket. */
export async function startOtherProvider(redirectUris: readonly string[]): Promise<OtherProvider> {
  let provider: Provider | undefined;
  const server: Server = createServer((request, response) => void provider?.callback()(request, response));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const state: { next: Profile } = { next: { sub: 'nobody' } };
  const profiles = new Map<string, Profile>();
  provider = new Provider(issuer, {
    clients: [
      {
        client_id: otherClient.id,
        client_secret: secret,
        redirect_uris: [...redirectUris],
        token_endpoint_auth_method: 'client_secret_post',
      },
    ],
    claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name'] },
    conformIdTokenClaims: false,
    cookies: { keys: ['test'] },
    findAccount: (_context, id) => ({ accountId: id, claims: async () => ({ ...profiles.get(id), sub: id }) }),
    interactions: { url: (_context, interaction) => `/interaction/${interaction.uid}` },
    features: { devInteractions: { enabled: false } },
    ttl: { AccessToken: 60, AuthorizationCode: 60, Grant: 60, IdToken: 60, Interaction: 60, Session: 60 },
  });
  const own = provider;
  own.use(async (context, next) => {
    if (!context.path.startsWith('/interaction/')) return next();
    const { prompt, params, grantId } = await own.interactionDetails(context.req, context.res);
    if (prompt.name === 'login') {
      profiles.set(state.next.sub, state.next);
      const result = { login: { accountId: state.next.sub } };
      context.redirect(await own.interactionResult(context.req, context.res, result));
      return;
    }
    const grant =
      (grantId === undefined ? undefined : await own.Grant.find(grantId)) ??
      new own.Grant({ accountId: state.next.sub, clientId: String(params['client_id']) });
    grant.addOIDCScope('openid email profile');
    const result = { consent: { grantId: await grant.save() } };
    context.redirect(await own.interactionResult(context.req, context.res, result));
  });
  return {
    issuer,
    get next() {
      return state.next;
    },
    set next(profile) {
      state.next = profile;
    },
    walk: async (url) => {
      const cookies = new Map<string, string>();
      let at = url;
      for (let step = 0; step < 10; step++) {
        if (!at.startsWith(issuer)) return at;
        const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ');
        const response = await fetch(at, { redirect: 'manual', headers: { cookie } });
        for (const line of response.headers.getSetCookie()) {
          const [pair = ''] = line.split(';');
          cookies.set(pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1));
        }
        const location = response.headers.get('location');
        if (location === null) throw new Error(`${response.status} at ${at}: ${await response.text()}`);
        await response.body?.cancel();
        at = new URL(location, at).href;
      }
      throw new Error('The provider goes round in circles');
    },
    close: async () => {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}
