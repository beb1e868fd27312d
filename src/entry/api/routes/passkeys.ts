import type { AuthenticationResponseJSON, RegistrationResponseJSON } from '@simplewebauthn/server';
import type { FastifyPluginAsync, FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { BrowserSession } from '../../../lib/app/people/browser-sessions.ts';
import { accountPath, safeReturnTo } from '../../../lib/app/people/return-to.ts';
import { CsrfTokens } from '../pages/forms.ts';
import type { SignInDependencies } from './sign-in.ts';

const base64url = (max: number) =>
  z
    .string()
    .regex(/^[A-Za-z0-9_-]*$/, 'must be base64url')
    .max(max);

/** What both kinds of answers of a browser have (WebAuthn level 3 section 5.1); what else they have is not looked at. */
const credential = <T extends z.ZodType>(response: T) =>
  z.object({
    id: base64url(1400).min(1),
    rawId: base64url(1400).min(1),
    type: z.literal('public-key'),
    authenticatorAttachment: z.string().max(30).nullish(),
    clientExtensionResults: z.record(z.string(), z.unknown()).default({}),
    response,
  });

const asked = z.object({ return_to: z.string().max(2000).optional() });
const signInBody = asked.extend({
  response: credential(
    z.object({
      clientDataJSON: base64url(8000),
      authenticatorData: base64url(8000),
      signature: base64url(4000),
      userHandle: base64url(100).nullish(),
    }),
  ),
});
const registerBody = asked.extend({
  name: z.string().max(300).optional(),
  response: credential(
    z.object({
      clientDataJSON: base64url(8000),
      attestationObject: base64url(40_000),
      transports: z.array(z.string().max(30)).max(10).optional(),
    }),
  ),
});
const nameBody = z.object({ name: z.string().trim().min(1).max(100) });
const idParams = z.object({ id: z.uuid() });

const config = { rateGroup: 'oauth_auth' } as const;

/** What the pages' script asks while it has a passkey made or used; JSON in and out. */
export function passkeyRoutes({ people }: SignInDependencies): FastifyPluginAsync {
  const { sessions, passkeys, addressOf } = people;
  const csrf = new CsrfTokens(sessions.cookies.browser);

  /** Who is signed in; refuses what a page of ours did not send. */
  const sender = async (request: FastifyRequest): Promise<BrowserSession | undefined> => {
    const session = await sessions.current(request);
    csrf.check(request, session?.sessionId);
    return session;
  };
  const signedIn = async (request: FastifyRequest): Promise<BrowserSession> => {
    await sender(request);
    return sessions.require(request);
  };

  return async (app) => {
    app.addHook('onRequest', async (_request, reply) => {
      reply.header('cache-control', 'no-store');
    });

    app.post(
      '/auth/passkeys/sign-in/options',
      { config, schema: { hide: true, body: asked } },
      async (request, reply) => {
        await sender(request);
        return { options: await passkeys.signInOptions(request, reply.raw) };
      },
    );

    app.post('/auth/passkeys/sign-in', { config, schema: { hide: true, body: signInBody } }, async (request, reply) => {
      const body = signInBody.parse(request.body);
      await sender(request);
      const response = withoutNulls(body.response) as AuthenticationResponseJSON;
      await passkeys.signIn(request, reply.raw, { response, address: addressOf(request.raw) });
      return { location: safeReturnTo(body.return_to) ?? accountPath };
    });

    app.post(
      '/auth/passkeys/register/options',
      { config, schema: { hide: true, body: asked } },
      async (request, reply) => {
        const session = await signedIn(request);
        return { options: await passkeys.addOptions(request, reply.raw, session) };
      },
    );

    app.post(
      '/auth/passkeys/register',
      { config, schema: { hide: true, body: registerBody } },
      async (request, reply) => {
        const body = registerBody.parse(request.body);
        const session = await signedIn(request);
        const response = withoutNulls(body.response) as RegistrationResponseJSON;
        const given = { response, name: body.name, address: addressOf(request.raw) };
        await passkeys.add(request, reply.raw, session, given);
        const returnTo = safeReturnTo(body.return_to) ?? accountPath;
        return { location: returnTo === accountPath ? `${accountPath}?added=passkey` : returnTo };
      },
    );

    app.post(
      '/auth/passkeys/:id/name',
      { config, schema: { hide: true, params: idParams, body: nameBody } },
      async (request, reply) => {
        const session = await signedIn(request);
        await passkeys.rename(session.userId, idParams.parse(request.params).id, nameBody.parse(request.body).name);
        return reply.code(204).send();
      },
    );
  };
}

/** Browsers write null for what there is not, which the library does not know. */
function withoutNulls(value: unknown): unknown {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) return value;
  return Object.fromEntries(
    Object.entries(value).flatMap(([name, member]) => (member === null ? [] : [[name, withoutNulls(member)]])),
  );
}
