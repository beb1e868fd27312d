import { type Html, html } from '../../../lib/infra/http/html.ts';
import { csrfInput } from './forms.ts';
import type { Page } from './layout.ts';
import { given, keyIcon, note } from './parts.ts';

export interface SignInPage {
  readonly csrf: string;
  /** Where to go on, a path of ours. */
  readonly returnTo: string;
  /** Why the browser is here, above the ways in. */
  readonly notice?: string;
  /** What went wrong at the last try. */
  readonly error?: string;
  /** What was filled in, or hinted at by the client. */
  readonly email?: string;
  /** Other providers, in the order of the configuration. */
  readonly providers: readonly { readonly id: string; readonly name: string }[];
  /** Whether links are sent by mail. */
  readonly mail?: boolean;
  readonly status?: number;
}

/** Where the script asks for what a passkey signs, and sends what it signed. */
const passkeyPaths = {
  signIn: ['/auth/passkeys/sign-in/options', '/auth/passkeys/sign-in'],
  register: ['/auth/passkeys/register/options', '/auth/passkeys/register'],
} as const;

/** Passkey first, then a link by mail, then other providers. */
export function signInPage(view: SignInPage): Page {
  const { csrf, returnTo, providers } = view;
  const hidden = html`${csrfInput(csrf)}<input type="hidden" name="return_to" value="${returnTo}">`;
  const [options, verify] = passkeyPaths.signIn;
  const others = view.mail !== false || providers.length > 0;
  return {
    title: view.error === undefined ? 'Sign in' : 'Error: Sign in',
    scripts: ['passkey.js'],
    ...(view.status === undefined ? {} : { status: view.status }),
    body: html`<h1>Sign in</h1>
${view.notice !== undefined && html`<p class="lead">${view.notice}</p>`}
${view.error !== undefined && html`<div class="note error" role="alert" id="error">${view.error}</div>`}
<form data-passkey="sign-in" data-autofill="yes" data-options="${options}" data-verify="${verify}" data-needs-passkey hidden>
${hidden}
<div class="note error" role="alert" data-message hidden></div>
<button type="submit">${keyIcon}Sign in with a passkey</button>
</form>
<p class="note plain" data-without-passkey>Passkeys need JavaScript and a browser that has them.${others && ' The ways below work without.'}</p>
${view.mail !== false && mailForm(view, hidden)}
${providers.length > 0 && html`<p class="or">or go on with</p><div class="stack">${providers.map((provider) => providerButton(provider, returnTo))}</div>`}`,
  };
}

function mailForm(view: SignInPage, hidden: Html): Html {
  const invalid = view.error !== undefined && view.email !== undefined;
  return html`<p class="or">or</p>
<form method="post" action="/auth/sign-in" class="stack">
${hidden}
<div>
<label for="email">Mail address</label>
<input id="email" name="email" type="email" required maxlength="254" autocomplete="username webauthn" inputmode="email" spellcheck="false" aria-describedby="email-help${invalid && ' error'}"${invalid && html` aria-invalid="true"`} value="${view.email ?? ''}">
<span class="help" id="email-help">We send you a link that signs you in once.</span>
</div>
<button type="submit" class="quiet">Send me a link</button>
</form>`;
}

/** A link, not a form: the provider's address need not stand in the page's form-action. */
function providerButton({ id, name }: { id: string; name: string }, returnTo: string): Html {
  const address = `/auth/federation/${encodeURIComponent(id)}/start?return_to=${encodeURIComponent(returnTo)}`;
  return html`<a class="button quiet" href="${address}" rel="nofollow">${given(name, 40)}</a>`;
}

/** The same answer whether or not somebody has that address. @param minutes how long the link is good */
export function mailSentPage(view: {
  readonly email: string;
  readonly minutes: number;
  readonly returnTo: string;
  /** Whether there is no mail server, as on a developer's machine. */
  readonly intoFiles?: boolean;
}): Page {
  return {
    title: 'Look into your mail',
    body: html`<h1>Look into your mail</h1>
<p class="lead">If <bdi>${view.email}</bdi> is known here, a link is on its way. It is good for ${view.minutes} minutes, once, and only in this browser.</p>
${view.intoFiles === true && note('plain', html`This instance has no mail server: its mails are files in <code>outbox/</code>, in the instance’s own folder (<code>.systemprompt</code>).`)}
<p class="small soft">Nothing there? Look into the folder for unwanted mail, or <a href="/auth/sign-in?return_to=${encodeURIComponent(view.returnTo)}">try again</a>.</p>`,
  };
}

export interface LinkPage {
  readonly csrf: string;
  /** Where the button leads, without the token: that one travels in the form. */
  readonly action: string;
  readonly token: string;
  readonly returnTo?: string;
  readonly error?: string;
  /** Whether it lets somebody in who makes a passkey next. */
  readonly setup?: boolean;
}

/** Programs that check mails open each link: only the button uses it up. */
export function linkPage(view: LinkPage): Page {
  return {
    title: 'Sign in by link',
    body: html`<h1>Sign in here?</h1>
<p class="lead">${
      view.setup
        ? 'The link is used up as soon as you go on. You make a passkey next, in this browser.'
        : 'The link is used up as soon as you go on. Go on only if you asked for it yourself, just now.'
    }</p>
${view.error !== undefined && note('error', view.error)}
<form method="post" action="${view.action}">
${csrfInput(view.csrf)}
<input type="hidden" name="token" value="${view.token}">
${view.returnTo !== undefined && html`<input type="hidden" name="return_to" value="${view.returnTo}">`}
<button type="submit">Sign in</button>
</form>`,
  };
}

/** A link that leads nowhere: used, too old, or opened in another browser. All of them say the same. */
export function deadLinkPage(kind: 'mail' | 'setup' = 'mail'): Page {
  return {
    title: 'Error: This link does not work',
    status: 403,
    body: html`<h1>This link does not work</h1>
${
  kind === 'mail'
    ? html`<p class="lead">A link is good once, for a short time, in the browser in which it was asked for.</p>
<a class="button" href="/auth/sign-in">Ask for another one</a>`
    : html`<p class="lead">A link is good once, for a day, and only until a newer one is made. <code>systemprompt admin users link</code> makes one.</p>
<a class="button quiet" href="/auth/sign-in">Sign in another way</a>`
}`,
  };
}

export interface SetupPage {
  readonly csrf: string;
  /** The name of the account. */
  readonly userName: string;
  /** Goes with the requests that make the passkey. */
  readonly token?: string;
  readonly returnTo: string;
  /** What the browser says it is: a name to begin with, since every device would be "this device". */
  readonly device?: string;
  /** Whether this is the instance's owner on the very first visit. */
  readonly owner: boolean;
}

/** The first passkey of an account that has none. */
export function setupPage(view: SetupPage): Page {
  const [options, verify] = passkeyPaths.register;
  return {
    title: 'Make your first passkey',
    scripts: ['passkey.js'],
    body: html`<h1>${view.owner ? 'Welcome: this instance is yours' : 'Make your first passkey'}</h1>
<p class="lead">${
      view.owner
        ? 'Make a passkey, and nobody but you signs in as its owner from now on.'
        : 'From then on you sign in with it, without a password and without a mail.'
    } Your device keeps it; it opens with your finger, your face or its PIN.</p>
<form data-passkey="register" data-options="${options}" data-verify="${verify}" class="stack">
${csrfInput(view.csrf)}
<input type="hidden" name="return_to" value="${view.returnTo}">
${view.token !== undefined && html`<input type="hidden" name="token" value="${view.token}">`}
<div class="note error" role="alert" data-message hidden></div>
<div>
<label for="name">Name of the passkey</label>
<input id="name" name="name" type="text" maxlength="100" value="${view.device ?? 'This device'}" autocomplete="off" aria-describedby="name-help">
<span class="help" id="name-help">So that you know it again among others. You sign in as <b>${given(view.userName)}</b>.</span>
</div>
<button type="submit" data-needs-passkey hidden>${keyIcon}Make a passkey</button>
<p class="note caution" data-without-passkey>A passkey needs JavaScript and a browser that has passkeys. Open this page in another browser.</p>
</form>`,
  };
}

/** What the account's own form needs to add a passkey. */
export const registerPasskey: readonly [options: string, verify: string] = passkeyPaths.register;

/** For whoever opens the address by hand: a link of another site signs nobody out. */
export function signOutPage(view: { readonly csrf: string; readonly userName: string }): Page {
  return {
    title: 'Sign out',
    body: html`<h1>Sign out?</h1>
<p class="lead">You are signed in as <b>${given(view.userName)}</b>.</p>
<form method="post" action="/auth/sign-out" class="stack">${csrfInput(view.csrf)}
<button type="submit">Sign out</button>
<a class="button quiet" href="/auth/account">To your account</a></form>`,
  };
}

/** Nobody is signed in at this browser any more. */
export function signedOutPage(): Page {
  return {
    title: 'Signed out',
    body: html`<h1>You are signed out</h1>
<p class="lead">Of this browser. Applications that you connected stay connected until you disconnect them in your account.</p>
<a class="button quiet" href="/auth/sign-in">Sign in again</a>`,
  };
}

/** On by itself to an address of ours, or by the link. It ends the chain of redirects that began with a form. */
export function onwardPage(location: string): Page {
  return {
    title: 'You are signed in',
    refresh: location,
    body: html`<h1>You are signed in</h1><p class="lead">Going on…</p><a class="button quiet" href="${location}">Continue</a>`,
  };
}
