import type { FastifyInstance, FastifyRequest } from 'fastify';
import { instanceAudience } from '../../lib/app/identity.ts';
import type { Caller, RateGroup } from '../../lib/app/rate-limits.ts';
import { authenticate } from '../../lib/domain/auth/index.ts';
import { AppError } from '../../lib/shared/errors.ts';
import type { ApiDependencies } from './dependencies.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Counted with these; `none` where something else counts. The default is `oauth_public`. */
    rateGroup?: RateGroup | 'none';
  }
}

/** Has each request counted before its route sees it; one too many is answered with 429. */
export function countRequests(app: FastifyInstance, deps: ApiDependencies): void {
  const { rateLimiter } = deps;
  if (rateLimiter === undefined) return;
  const audience = instanceAudience(deps.externalUrl);
  app.addHook('onRequest', async (request, reply) => {
    const { rateGroup = 'oauth_public' } = request.routeOptions.config;
    if (rateGroup === 'none') return;
    const { error, headers } = await rateLimiter.count(rateGroup, await callerOf(deps, request, audience));
    for (const [name, value] of Object.entries(headers)) reply.raw.setHeader(name, value);
    if (error !== undefined) throw error;
  });
}

/** A token that is not good makes nobody known: guesses count for the address that they come from. */
async function callerOf(deps: ApiDependencies, request: FastifyRequest, audience: string): Promise<Caller> {
  if (request.headers.authorization !== undefined) {
    try {
      const { sub, client, scopes } = await authenticate(deps.verifier, request.raw, audience);
      return { user: sub, client, scopes };
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
    }
  }
  return { request: request.raw };
}
