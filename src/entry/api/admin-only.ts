import type { IncomingMessage } from 'node:http';
import type { FastifyReply } from 'fastify';
import { instanceAudience, resourceMetadataUrl } from '../../lib/app/identity.ts';
import { authenticate, challengeFor, insufficientScope } from '../../lib/domain/auth/index.ts';
import { toAppError } from '../../lib/shared/errors.ts';
import { covers } from '../../lib/shared/permission.ts';
import type { ApiDependencies } from './dependencies.ts';

/** What only a token of the instance with the scope `admin` opens. */
export interface AdminOnly {
  /** @throws UnauthenticatedError; ForbiddenError for a token without the scope */
  require(request: IncomingMessage): Promise<void>;
  /** {@link require}, whose answer says how to sign in. */
  challenge(request: IncomingMessage, reply: FastifyReply): Promise<void>;
}

export function adminOnly(deps: Pick<ApiDependencies, 'externalUrl' | 'verifier'>): AdminOnly {
  const audience = instanceAudience(deps.externalUrl);
  const resource = { audience, metadataUrl: resourceMetadataUrl(audience), scopes: ['admin'] };
  const required = async (request: IncomingMessage): Promise<void> => {
    const { scopes } = await authenticate(deps.verifier, request, audience);
    if (!covers(scopes, 'admin')) throw insufficientScope(scopes, ['admin']);
  };
  return {
    require: required,
    challenge: async (request, reply) => {
      try {
        await required(request);
      } catch (thrown) {
        const challenge = challengeFor(toAppError(thrown), resource);
        if (challenge !== undefined) reply.header('www-authenticate', challenge.header);
        throw thrown;
      }
    },
  };
}
