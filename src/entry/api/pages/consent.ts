import { type Html, html } from '../../../lib/infra/http/html.ts';
import { csrfInput } from './forms.ts';
import { formActionSource, type Page } from './layout.ts';
import { facts, given, note } from './parts.ts';

/** What is shown of a client. All of it is its own word, but where it is `builtin` or `registered`. */
export interface ClientView {
  readonly id: string;
  readonly name: string;
  /** Of the client id, where that is an address. */
  readonly host: string | undefined;
  readonly kind: 'builtin' | 'registered' | 'dynamic' | 'document' | 'service';
  readonly redirectHost: string;
  /** It is answered at addresses of the user's own device alone. */
  readonly loopbackOnly: boolean;
}

interface ScopeView {
  readonly name: string;
  readonly description: string;
  readonly sensitive: boolean;
}

export interface ConsentView {
  readonly uid: string;
  readonly csrf: string;
  readonly userName: string;
  readonly client: ClientView;
  /** Where the browser goes afterwards; none for a device, which asks by itself. */
  readonly redirectUri: string | undefined;
  readonly device: boolean;
  readonly resources: readonly {
    readonly resource: { readonly displayName: string; readonly audience: string };
    readonly asked: readonly ScopeView[];
    readonly refused: readonly string[];
  }[];
  readonly oidcScopes: readonly string[];
}

/** Of OpenID Connect Core section 5.4 and 11, in words. */
const personal: Readonly<Record<string, string>> = {
  openid: 'Know that it is you',
  profile: 'See your name',
  email: 'See your mail address',
  offline_access: 'Stay connected while you are away, until you disconnect it',
};

/** The name of the field that holds what was ticked for the resource of that number. */
export const scopeField = (index: number): string => `scope.${index}`;

/** Asks whether a client may act for the user, and how far. */
export function consentPage(view: ConsentView): Page {
  const { client, device, redirectUri } = view;
  const cautions = warnings(client, device);
  const known = view.oidcScopes.flatMap((scope) => personal[scope] ?? []);
  return {
    title: 'Allow an application',
    // Denying leads back to the application as well.
    ...(redirectUri === undefined ? {} : { formAction: [formActionSource(redirectUri)] }),
    body: html`<h1>Allow ${given(client.name)}?</h1>
<p class="lead">It asks to act in your name, <b>${given(view.userName)}</b>, as far as you say here.</p>
${cautions.length > 0 && note('caution', html`${cautions.map((text) => html`<p>${text}</p>`)}`)}
${facts([
  ['Application', html`${given(client.name)} ${standing(client)}`],
  [
    'Known as',
    client.host === undefined ? html`<code>${given(client.id, 60)}</code>` : html`<code>${client.host}</code>`,
  ],
  ['Answers go to', device ? 'the device that you began on' : html`<code>${client.redirectHost}</code>`],
])}
<form method="post" action="/auth/interaction/${view.uid}">
${csrfInput(view.csrf)}
${view.resources.map(resource)}
${known.length > 0 && html`<fieldset><legend>About you</legend><ul class="choices">${known.map((text) => html`<li><span class="fixed">${text}</span></li>`)}</ul></fieldset>`}
<p class="small soft">You can take it back at any time in <a href="/auth/account">your account</a>.</p>
<div class="row">
<button type="submit" name="decision" value="deny" class="quiet">Deny</button>
<button type="submit" name="decision" value="allow">Allow</button>
</div>
</form>`,
  };
}

/** Whether anybody here has checked who it is. */
function standing({ kind }: ClientView): Html {
  if (kind === 'builtin') return html`<span class="tag good">part of systemprompt</span>`;
  if (kind === 'registered' || kind === 'service') return html`<span class="tag good">verified</span>`;
  return html`<span class="tag caution">not verified</span>`;
}

function warnings(client: ClientView, device: boolean): Html[] {
  const found: Html[] = [];
  if (client.kind === 'document') {
    found.push(
      html`<strong>Nobody here has checked this application.</strong> <code>${client.host ?? client.id}</code> describes it; the name is what it calls itself.`,
    );
  }
  if (client.kind === 'dynamic') {
    found.push(
      html`<strong>Nobody here has checked this application.</strong> It registered itself, and anybody can choose that name.`,
    );
  }
  if (device) {
    found.push(
      html`<strong>Allow it only if you began this on a device of your own.</strong> Whoever sent you a code to enter would get in with it.`,
    );
  } else if (client.loopbackOnly && client.kind !== 'builtin') {
    found.push(
      html`<strong>The answer goes to a program on your own device.</strong> Any program there could have asked under this name: allow it only if you started it yourself just now.`,
    );
  }
  return found;
}

type Resource = ConsentView['resources'][number];

function resource({ resource: server, asked, refused }: Resource, index: number): Html {
  const scopes = [...asked].sort((one, other) => Number(one.sensitive) - Number(other.sensitive));
  return html`<fieldset>
<legend>On ${given(server.displayName)}, it will be able to <span class="small"><code>${server.audience}</code></span></legend>
${scopes.length > 0 && html`<ul class="choices">${scopes.map((scope, at) => choice(scope, index, at))}</ul>`}
${scopes.length === 0 && html`<p class="note plain">Nothing: you may not do yourself what it asks for.</p>`}
${
  refused.length > 0 &&
  html`<span class="help">Asked for, but not yours to give: ${refused.map((name, at) => html`${at > 0 && ', '}<code>${given(name, 60)}</code>`)}.</span>`
}
</fieldset>`;
}

/** What is sensitive is never given by going on without a look. */
function choice({ name, description, sensitive }: ScopeView, index: number, at: number): Html {
  const id = `s${index}-${at}`;
  return html`<li><label for="${id}"><input type="checkbox" id="${id}" name="${scopeField(index)}" value="${name}"${!sensitive && html` checked`}><span class="what">${given(description === '' ? name : description, 200)}${sensitive && html` <span class="tag caution">sensitive</span>`}<span class="scope"><code>${name}</code></span></span></label></li>`;
}
