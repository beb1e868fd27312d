import { html } from '../../../lib/infra/http/html.ts';
import type { Page } from './layout.ts';
import { facts } from './parts.ts';

/** What an OAuth error means for who sits before it; the code stands below for whoever wrote the application. */
const meanings: Readonly<Record<string, string>> = {
  invalid_client: 'The application is not known here. It may have been removed: connect it anew from within it.',
  invalid_client_metadata: 'What the application says of itself does not hold.',
  invalid_redirect_uri: 'The application asks to be answered at an address that it did not register.',
  invalid_request: 'The application asked in a way that is not understood here.',
  invalid_target: 'The application asked for a server that does not exist here.',
  unauthorized_client: 'The application may not ask for this.',
  access_denied: 'It was refused.',
  slow_down: 'There were too many attempts. Wait some minutes.',
  temporarily_unavailable: 'This cannot be done at the moment. Try again in a minute.',
  server_error: 'Something went wrong on our side. Try again in a minute.',
};

export interface ErrorView {
  readonly status: number;
  /** The code of RFC 6749 or one of ours. */
  readonly code: string;
  /** For whoever wrote the application. */
  readonly description?: string | undefined;
  /** Leads to the log. */
  readonly requestId?: string | undefined;
}

/** An error that can't be told to the application, since nobody knows where it is. */
export function oauthErrorPage(view: ErrorView): Page {
  const known = view.status >= 500 ? meanings['server_error'] : meanings[view.code];
  return {
    title: 'Error: The sign-in cannot go on',
    status: view.status,
    body: html`<h1>The sign-in cannot go on</h1>
<p class="lead">${known ?? 'The application asked for something that cannot be done here.'}</p>
${facts([
  ['Error', html`<code>${view.code}</code>`],
  ...(view.description === undefined || view.status >= 500
    ? []
    : [['Details', html`<bdi>${view.description.slice(0, 300)}</bdi>`] as const]),
  ...(view.requestId === undefined ? [] : [['Request', html`<code>${view.requestId}</code>`] as const]),
])}
<p class="small soft">You can close this window and begin again in the application.</p>`,
  };
}

/** Any other error of a page: what happened, and what to do instead. */
export function plainErrorPage(view: {
  readonly status: number;
  readonly title: string;
  readonly message?: string | undefined;
  readonly hint?: string | undefined;
}): Page {
  return {
    title: `Error: ${view.title}`,
    status: view.status,
    body: html`<h1>${view.title}</h1>
${view.message !== undefined && html`<p class="lead">${view.message}.</p>`}
${view.hint !== undefined && html`<p>${view.hint}</p>`}
<a class="button quiet" href="/auth/account">To your account</a>`,
  };
}
