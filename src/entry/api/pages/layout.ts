import type { FastifyReply } from 'fastify';
import { type Html, html } from '../../../lib/infra/http/html.ts';
import { type AssetName, assetUrl } from './assets.ts';

/** One page for people. */
export interface Page {
  /** Of the window; the page's own heading stands in the body. */
  readonly title: string;
  /** What stands in `<main>`. */
  readonly body: Html;
  /** HTTP status, 200 unless told. */
  readonly status?: number;
  /**
   * Where its forms may end up beside our own origin, by `formActionSource`: Chrome holds redirects that follow a POST
   * to the page's form-action too.
   */
  readonly formAction?: readonly string[];
  readonly scripts?: readonly AssetName[];
  /** Goes on by itself to this address of ours, at once. */
  readonly refresh?: string;
  /** Room for lists rather than for one question. */
  readonly wide?: boolean;
}

export interface RenderedPage {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** A whole document with the headers that protect it; for whoever answers without the framework. */
export function renderPage(page: Page): RenderedPage {
  const scripts = page.scripts ?? [];
  const scripted = scripts.length > 0 ? "'self'" : "'none'";
  const policy = [
    "default-src 'none'",
    "style-src 'self'",
    `script-src ${scripted}`,
    "img-src 'self' data:",
    `connect-src ${scripted}`,
    `form-action ${["'self'", ...(page.formAction ?? [])].join(' ')}`,
    "frame-ancestors 'none'",
    "base-uri 'none'",
  ];
  return {
    status: page.status ?? 200,
    headers: {
      'content-type': 'text/html; charset=utf-8',
      'content-security-policy': policy.join('; '),
      'cache-control': 'no-store',
      'referrer-policy': 'no-referrer',
      'x-frame-options': 'DENY',
      'x-content-type-options': 'nosniff',
      // A client's page that opened this one as a pop-up must still be found from its own callback.
      'cross-origin-opener-policy': 'unsafe-none',
    },
    body: document(page, scripts).toString(),
  };
}

/** Answers with a page. */
export function page(reply: FastifyReply, content: Page): FastifyReply {
  const { status, headers, body } = renderPage(content);
  return reply.code(status).headers(headers).send(body);
}

/**
 * The source expression (CSP level 3) that lets a form end up at an address: its origin, or its scheme where the address
 * has none of its own, as those of apps. Hosts in brackets (IPv6) can't be named there, so their scheme is.
 */
export function formActionSource(redirectUri: string): string {
  const { protocol, origin, hostname } = new URL(redirectUri);
  const named = (protocol === 'https:' || protocol === 'http:') && !hostname.startsWith('[');
  return named ? origin : protocol;
}

const mark = html`<svg class="mark" viewBox="0 0 24 24" width="24" height="24" aria-hidden="true" focusable="false"><rect x="1" y="1" width="22" height="22" rx="6" fill="currentColor"/><path class="mark-sign" d="M7 8.5l3.6 3.5L7 15.5M12.6 15.5H17" fill="none" stroke="#fff" stroke-width="1.9" stroke-linecap="round" stroke-linejoin="round"/></svg>`;

function document({ title, body, refresh, wide }: Page, scripts: readonly AssetName[]): Html {
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="robots" content="noindex, nofollow">
<title>${title} · systemprompt</title>
${refresh !== undefined && html`<meta http-equiv="refresh" content="0;url=${refresh}">`}
<link rel="icon" href="data:,">
<link rel="stylesheet" href="${assetUrl('style.css')}">
${scripts.map((name) => html`<script type="module" src="${assetUrl(name)}"></script>`)}
</head>
<body>
<a class="skip" href="#main">Skip to the content</a>
<header class="top">${mark}<span class="name">systemprompt</span></header>
<main id="main" class="${wide ? 'wide' : 'card'}" tabindex="-1">
${body}
</main>
</body>
</html>
`;
}
