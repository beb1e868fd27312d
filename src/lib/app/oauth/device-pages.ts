import type { Configuration, KoaContextWithOIDC } from 'oidc-provider';
import { cardOf } from './card.ts';
import type { DeviceForm, DeviceProblem, OAuthPages, RenderedPage } from './pages.ts';

type DeviceFlow = NonNullable<NonNullable<Configuration['features']>['deviceFlow']>;

/** By the names of the library's errors. */
const problems: Readonly<Record<string, DeviceProblem>> = {
  NoCodeError: 'missing',
  NotFoundError: 'unknown',
  ExpiredError: 'expired',
  AlreadyUsedError: 'used',
  AbortedError: 'aborted',
};
/** Of what a device says about itself, how much is kept. */
const maxUserAgent = 300;

/** Our own pages in place of the library's, in the device flow (RFC 8628). */
export function deviceFlow(pages: OAuthPages): DeviceFlow {
  return {
    enabled: true,
    charset: 'base-20',
    mask: '****-****',
    deviceInfo: (ctx) => ({ address: ctx.ip, userAgent: ctx.get('user-agent').slice(0, maxUserAgent) }),
    userCodeInputSource: (ctx, _form, _out, error) => {
      const problem = error === undefined ? undefined : (problems[error.name] ?? 'failed');
      show(ctx, pages.deviceCode({ ...formOf(ctx), ...(problem === undefined ? {} : { problem }) }));
    },
    userCodeConfirmSource: (ctx, _form, client, { address, userAgent }, userCode) =>
      show(
        ctx,
        pages.deviceConfirm({
          ...formOf(ctx),
          userCode,
          client: cardOf(client),
          address: textOf(address),
          userAgent: textOf(userAgent),
        }),
      ),
    successSource: (ctx) => {
      const { client } = ctx.oidc;
      if (client !== undefined) show(ctx, pages.deviceDone(cardOf(client)));
    },
  };
}

/** The form with the code of the link that the device showed: filled in, and sent by the user, not by a script. */
export function prefilled(ctx: KoaContextWithOIDC, pages: OAuthPages, userCode: string): void {
  show(ctx, pages.deviceCode({ ...formOf(ctx), userCode }));
}

export function show(ctx: KoaContextWithOIDC, page: RenderedPage): void {
  ctx.status = page.status;
  ctx.set({ 'cache-control': 'no-store', ...page.headers });
  ctx.body = page.body;
}

function formOf({ oidc }: KoaContextWithOIDC): DeviceForm {
  return { action: oidc.urlFor('code_verification'), xsrf: String(oidc.session?.state?.['secret'] ?? '') };
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}
