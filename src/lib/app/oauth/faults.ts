import { errors, type KoaContextWithOIDC, type Provider } from 'oidc-provider';
import type { Logger } from '../../infra/logging/logger.ts';
import { show } from './device-pages.ts';
import type { OAuthPages } from './pages.ts';
import { oauthPath } from './paths.ts';
import { guarded } from './unavailable.ts';

interface FaultDependencies {
  readonly pages: OAuthPages;
  readonly log: Logger;
}

/**
 * Answers, in the form of the address, what is thrown where the library does not look: by what is around its routes. To be
 * installed before everything else.
 */
export function answerFaults(provider: Provider, deps: FaultDependencies): void {
  provider.use(async (ctx, next) => {
    try {
      await guarded(next);
    } catch (thrown) {
      // After an error at an address that nobody was sent to, the library would keep a session that there never was.
      const answered = ctx.status >= 400 && ctx.body !== undefined;
      if (!answered || !isSessionOfNobody(thrown)) answer(ctx as KoaContextWithOIDC, thrown, deps);
    }
  });
}

function answer(ctx: KoaContextWithOIDC, thrown: unknown, { pages, log }: FaultDependencies): void {
  const { status, error, description } = told(thrown);
  if (status >= 500) log.error({ err: thrown, path: ctx.path }, 'The authorization server failed');
  if (oauthPath(ctx.path)?.open === false) {
    show(ctx, pages.error({ status, error, description }));
    return;
  }
  ctx.status = status;
  ctx.set('cache-control', 'no-store');
  ctx.body = { error, error_description: description };
}

function told(thrown: unknown): { readonly status: number; readonly error: string; readonly description: string } {
  const description = 'the request could not be answered';
  if (!(thrown instanceof errors.OIDCProviderError)) return { status: 500, error: 'server_error', description };
  return { status: thrown.statusCode, error: thrown.error, description: thrown.error_description ?? description };
}

function isSessionOfNobody(thrown: unknown): boolean {
  return thrown instanceof TypeError && thrown.message.startsWith('persist can only be called on previously persisted');
}
