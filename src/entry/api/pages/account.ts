import { type Html, type HtmlValue, html } from '../../../lib/infra/http/html.ts';
import { csrfInput } from './forms.ts';
import type { Page } from './layout.ts';
import { given, keyIcon, note, when } from './parts.ts';
import { registerPasskey } from './sign-in.ts';

export interface PasskeyView {
  readonly id: string;
  readonly name: string;
  readonly createdAt: Date;
  readonly lastUsedAt?: Date | undefined;
  /** Kept by an account of its provider and so on several devices, or by one device alone. */
  readonly synced: boolean;
}

export interface FederatedView {
  readonly id: string;
  readonly name: string;
  readonly createdAt: Date;
  readonly lastUsedAt?: Date | undefined;
}

export interface SessionView {
  readonly id: string;
  /** What the browser or program calls itself. */
  readonly client: string;
  readonly createdAt: Date;
  readonly lastSeenAt: Date;
  /** The very session that looks at the page. */
  readonly current: boolean;
}

export interface ConnectedView {
  readonly id: string;
  readonly name: string;
  readonly clientId: string;
  readonly allowed: readonly { readonly resource: string; readonly scopes: readonly string[] }[];
  readonly createdAt: Date;
  readonly lastSeenAt: Date;
}

export interface TokenView {
  readonly id: string;
  readonly name: string;
  readonly audience: string;
  readonly scopes: readonly string[];
  readonly createdAt: Date;
  readonly expiresAt: Date;
  readonly lastUsedAt?: Date | undefined;
}

/** An MCP server that the user brings something for. */
export interface ServerView {
  readonly server: string;
  readonly displayName: string;
  /** Where what is brought goes; undefined for a process of this instance. */
  readonly place: string | undefined;
  readonly wanted: readonly { readonly name: string; readonly since?: Date }[];
  readonly connected: boolean;
}

/** An MCP server that the user signs in at. */
export interface SignInView {
  readonly server: string;
  readonly displayName: string;
  readonly place: string;
  /** Whether it is for all callers. */
  readonly shared: boolean;
  readonly grant:
    | {
        readonly connectedAt: Date;
        readonly issuer: string;
        readonly scopes: readonly string[];
        /** What the server asked for since. */
        readonly wanted: readonly string[];
        readonly state: 'good' | 'refused';
      }
    | undefined;
}

export interface AccountView {
  readonly csrf: string;
  readonly user: { readonly name: string; readonly displayName: string; readonly email?: string | undefined };
  readonly passkeys: readonly PasskeyView[];
  readonly federated: readonly FederatedView[];
  /** Other providers that the account can be linked with. */
  readonly linkable: readonly { readonly id: string; readonly name: string }[];
  readonly sessions: readonly SessionView[];
  readonly connected: readonly ConnectedView[];
  /** Absent where there are none to be had. */
  readonly tokens?: readonly TokenView[] | undefined;
  /** MCP servers that the user brings something for. */
  readonly servers?: readonly ServerView[] | undefined;
  /** MCP servers that the user signs in at. */
  readonly signIns?: readonly SignInView[] | undefined;
  /** Whether the sign-in is fresh enough for what is sensitive: passkeys. */
  readonly recent: boolean;
  /** What was just done. */
  readonly done?: string | undefined;
  readonly error?: string | undefined;
}

/** Everything that acts in the user's name, each with the button that ends it. */
export function accountPage(view: AccountView): Page {
  const { csrf, user } = view;
  return {
    title: 'Your account',
    wide: true,
    scripts: ['passkey.js'],
    body: html`<div class="account-head"><div><h1>Your account</h1>
<p class="soft">${given(user.displayName)} · <code>${given(user.name)}</code>${user.email !== undefined && html` · <bdi>${user.email}</bdi>`}</p></div>
<form method="post" action="/auth/sign-out">${csrfInput(csrf)}<button type="submit" class="slight quiet">Sign out</button></form></div>
${view.done !== undefined && html`<div class="note good" role="status">${view.done}</div>`}
${view.error !== undefined && note('error', view.error)}
${panel(
  'passkeys',
  'Passkeys',
  'They sign you in without a password. Keep two, on different devices.',
  view.passkeys.map((passkey) => passkeyItem(passkey, csrf)),
  'You have no passkey yet.',
  addPasskey(view),
)}
${
  view.federated.length + view.linkable.length > 0 &&
  panel(
    'federated',
    'Accounts elsewhere',
    'Other providers by which you sign in here.',
    view.federated.map((identity) => federatedItem(identity, csrf)),
    'You are linked with none.',
    linkButtons(view),
  )
}
${
  (view.servers ?? []).length + (view.signIns ?? []).length > 0 &&
  panel(
    'servers',
    'Connected servers',
    'What these servers want of you. It is kept encrypted, goes to that server alone, and is never shown again.',
    [
      ...(view.servers ?? []).map((server) => serverItem(server, csrf)),
      ...(view.signIns ?? []).map((server) => signInItem(server, csrf)),
    ],
    '',
  )
}
${panel(
  'connected',
  'Connected applications',
  'They act in your name, as far as you allowed it.',
  view.connected.map((app) => connectedItem(app, csrf)),
  'No application acts in your name.',
)}
${panel(
  'sessions',
  'Sign-ins',
  'Browsers and programs in which you are signed in.',
  view.sessions.map((session) => sessionItem(session, csrf)),
  'There is no other sign-in.',
)}
${
  view.tokens !== undefined &&
  panel(
    'tokens',
    'Access tokens',
    'For programs that cannot sign in by themselves.',
    view.tokens.map((token) => tokenItem(token, csrf)),
    html`You have none. <code>systemprompt admin tokens create</code> makes one.`,
  )
}`,
  };
}

function panel(id: string, heading: string, about: string, items: readonly Html[], none: HtmlValue, more?: Html): Html {
  return html`<section class="panel" aria-labelledby="${id}">
<h2 id="${id}">${heading}</h2>
<p class="small soft">${about}</p>
${items.length > 0 ? html`<ul class="things">${items}</ul>` : html`<p class="none">${none}</p>`}
${more}
</section>`;
}

interface Thing {
  readonly kind: 'passkeys' | 'federated' | 'sessions' | 'connected' | 'tokens';
  readonly id: string;
  readonly name: string;
  readonly verb: string;
  readonly badge?: Html | undefined;
  readonly lines: readonly Html[];
  readonly csrf: string;
}

function thing({ kind, id, name, verb, badge, lines, csrf }: Thing): Html {
  return html`<li><div class="thing"><b>${given(name)}</b> ${badge}${lines.map((line) => html`<span class="line">${line}</span>`)}</div>
<form method="post" action="/auth/account/${kind}/${id}/end">${csrfInput(csrf)}<button type="submit" class="slight remove" aria-label="${verb} ${name}">${verb}</button></form></li>`;
}

function passkeyItem({ id, name, createdAt, lastUsedAt, synced }: PasskeyView, csrf: string): Html {
  const used = lastUsedAt === undefined ? 'never used' : html`used ${when(lastUsedAt)}`;
  const badge = html`<span class="tag">${synced ? 'synced' : 'this device only'}</span>`;
  return thing({
    kind: 'passkeys',
    id,
    name,
    verb: 'Remove',
    badge,
    csrf,
    lines: [html`made ${when(createdAt)}, ${used}`],
  });
}

function federatedItem({ id, name, createdAt, lastUsedAt }: FederatedView, csrf: string): Html {
  const used = lastUsedAt === undefined ? 'never used' : html`used ${when(lastUsedAt)}`;
  const lines = [html`linked ${when(createdAt)}, ${used}`];
  return thing({ kind: 'federated', id, name, verb: 'Unlink', csrf, lines });
}

function linkButtons({ linkable }: AccountView): Html {
  return html`${
    linkable.length > 0 &&
    html`<p class="links">${linkable.map(({ id, name }) => html`<a class="button slight quiet" rel="nofollow" href="/auth/federation/${encodeURIComponent(id)}/start?link=1">Link ${given(name, 40)}</a>`)}</p>`
  }`;
}

function sessionItem({ id, client, createdAt, lastSeenAt, current }: SessionView, csrf: string): Html {
  const badge = current ? html`<span class="tag good">this one</span>` : undefined;
  const line = html`since ${when(createdAt)}, seen ${when(lastSeenAt)}`;
  return thing({ kind: 'sessions', id, name: client, verb: 'End', badge, csrf, lines: [line] });
}

function connectedItem({ id, name, clientId, allowed, createdAt, lastSeenAt }: ConnectedView, csrf: string): Html {
  const lines = [
    html`<code>${given(clientId, 70)}</code>`,
    ...allowed.map(({ resource, scopes }) => html`on ${given(resource)}: ${codes(scopes)}`),
    html`allowed ${when(createdAt)}, active ${when(lastSeenAt)}`,
  ];
  return thing({ kind: 'connected', id, name, verb: 'Disconnect', csrf, lines });
}

function serverItem({ server, displayName, place, wanted, connected }: ServerView, csrf: string): Html {
  const badge = connected
    ? html`<span class="tag good">connected</span>`
    : html`<span class="tag">not connected</span>`;
  const some = wanted.some(({ since }) => since !== undefined);
  const address = `/auth/account/servers/${encodeURIComponent(server)}`;
  return html`<li><div class="thing"><b>${given(displayName)}</b> ${badge}
<span class="line">${place === undefined ? 'for a program of your own here' : html`sent to <code>${given(place, 80)}</code>`}</span>
<form class="add" method="post" action="${address}/connect">${csrfInput(csrf)}
${wanted.map(({ name, since }) => {
  const id = `server-${server}-${name}`;
  const about = since === undefined ? 'not given' : html`given ${when(since)}`;
  return html`<div class="field"><label for="${id}">${given(name)} <span class="soft">${about}</span></label><input id="${id}" name="value.${name}" type="password" maxlength="8192" autocomplete="off" spellcheck="false"${wanted.length === 1 && html` required`}></div>`;
})}
<button type="submit" class="quiet">${some ? 'Replace' : 'Connect'}</button></form></div>
${some && html`<form method="post" action="${address}/disconnect">${csrfInput(csrf)}<button type="submit" class="slight remove" aria-label="Disconnect ${displayName}">Disconnect</button></form>`}</li>`;
}

function signInItem({ server, displayName, place, shared, grant }: SignInView, csrf: string): Html {
  const good = grant?.state === 'good';
  const badge = good ? html`<span class="tag good">connected</span>` : html`<span class="tag">not connected</span>`;
  const address = `/auth/account/servers/${encodeURIComponent(server)}`;
  const verb = grant === undefined ? 'Sign in' : 'Sign in again';
  // A link, not a form: the address of who signs in there need not stand in the page's form-action.
  return html`<li><div class="thing"><b>${given(displayName)}</b> ${badge}
<span class="line">at <code>${given(place, 80)}</code>${shared && ', for all callers'}</span>
${grant !== undefined && html`<span class="line">${good ? html`by ${given(grant.issuer, 80)}, ${when(grant.connectedAt)}` : 'The sign-in is taken no more.'}</span>`}
${grant !== undefined && grant.scopes.length > 0 && html`<span class="line">may: ${codes(grant.scopes)}</span>`}
${grant !== undefined && grant.wanted.length > 0 && html`<span class="line">It wants more: ${codes(grant.wanted)}</span>`}
<p class="links"><a class="button slight quiet" rel="nofollow" href="/auth/servers/${encodeURIComponent(server)}/start">${verb}</a></p></div>
${grant !== undefined && html`<form method="post" action="${address}/disconnect">${csrfInput(csrf)}<button type="submit" class="slight remove" aria-label="Disconnect ${displayName}">Disconnect</button></form>`}</li>`;
}

function tokenItem({ id, name, audience, scopes, expiresAt, lastUsedAt }: TokenView, csrf: string): Html {
  const used = lastUsedAt === undefined ? 'never used' : html`used ${when(lastUsedAt)}`;
  const lines = [html`<code>${audience}</code>`, scopeLine(scopes), html`expires ${when(expiresAt)}, ${used}`];
  return thing({ kind: 'tokens', id, name, verb: 'Revoke', csrf, lines });
}

function scopeLine(scopes: readonly string[]): Html {
  return html`may: ${codes(scopes)}`;
}

function codes(scopes: readonly string[]): Html {
  return html`${scopes.map((scope, at) => html`${at > 0 && ', '}<code>${scope}</code>`)}`;
}

function addPasskey({ csrf, recent }: AccountView): Html {
  if (!recent) {
    return html`<p class="small more">To add a passkey, <a href="/auth/sign-in?return_to=/auth/account&amp;fresh=1">sign in once more</a>: your last sign-in was a while ago.</p>`;
  }
  const [options, verify] = registerPasskey;
  return html`<form class="add" data-passkey="register" data-options="${options}" data-verify="${verify}" data-needs-passkey hidden>
${csrfInput(csrf)}<input type="hidden" name="return_to" value="/auth/account">
<div class="note error" role="alert" data-message hidden></div>
<div class="field"><label for="name">Name of the new passkey</label><input id="name" name="name" type="text" maxlength="100" placeholder="My phone" autocomplete="off" required></div>
<button type="submit" class="quiet">${keyIcon}Add a passkey</button>
</form>`;
}
