import {
  browserSupportsWebAuthn,
  browserSupportsWebAuthnAutofill,
  startAuthentication,
  startRegistration,
  WebAuthnAbortService,
} from '@simplewebauthn/browser';

// Passkeys are the one thing that a page can't do without a script. A form says what it is for:
//
//   <form data-passkey="sign-in|register" data-options="<path>" data-verify="<path>">
//
// Its fields go with both requests as JSON, the CSRF token in a header. The first answers `{ options }`, the second
// `{ location }`: where to go on. An error is a problem document, whose `detail` is for people. Elements with
// `data-needs-passkey` are shown once it is known that the browser has passkeys, those with `data-without-passkey` hidden.

type OptionsOf<T extends (options: { optionsJSON: never }) => unknown> = Parameters<T>[0]['optionsJSON'];

interface Answer {
  readonly options?: unknown;
  readonly location?: string;
}

class Refused extends Error {}

function fieldsOf(form: HTMLFormElement): Record<string, string> {
  const fields: Record<string, string> = {};
  for (const [name, value] of new FormData(form)) if (typeof value === 'string') fields[name] = value;
  return fields;
}

async function ask(form: HTMLFormElement, path: string | undefined, more: object = {}): Promise<Answer> {
  const { csrf = '', ...fields } = fieldsOf(form);
  const response = await fetch(path ?? '', {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'application/json', 'x-csrf-token': csrf },
    body: JSON.stringify({ ...fields, ...more }),
  });
  const answer: unknown = await response.json().catch(() => ({}));
  if (response.ok) return answer as Answer;
  const { detail, hint } = answer as { detail?: string; hint?: string };
  throw new Refused(
    [detail ?? 'That did not work. Load the page again and repeat it.', hint].filter(Boolean).join('. '),
  );
}

async function sign(form: HTMLFormElement, options: unknown, autofill: boolean): Promise<void> {
  const response =
    form.dataset['passkey'] === 'register'
      ? await startRegistration({ optionsJSON: options as OptionsOf<typeof startRegistration> })
      : await startAuthentication({
          optionsJSON: options as OptionsOf<typeof startAuthentication>,
          useBrowserAutofill: autofill,
        });
  const { location: next } = await ask(form, form.dataset['verify'], { response });
  location.assign(next ?? '/auth/account');
}

async function run(form: HTMLFormElement): Promise<void> {
  const { options } = await ask(form, form.dataset['options']);
  await sign(form, options, false);
}

/** What the browser's own error means for whoever sits before it. */
function explain(error: unknown): string {
  if (error instanceof Refused) return error.message;
  const name = error instanceof Error ? error.name : '';
  if (name === 'NotAllowedError') return 'The browser ended it: it was cancelled, or took too long. Try again.';
  if (name === 'InvalidStateError') return 'This device has a passkey for your account already.';
  if (name === 'SecurityError') return 'Passkeys work only at the address under which this instance is published.';
  return 'That did not work in this browser. Try again, or use another way to sign in.';
}

function say(form: HTMLFormElement, text: string): void {
  const place = form.querySelector('[data-message]');
  if (place === null) return;
  place.textContent = text;
  place.toggleAttribute('hidden', text === '');
}

function setBusy(form: HTMLFormElement, busy: boolean): void {
  form.setAttribute('aria-busy', String(busy));
  for (const button of form.querySelectorAll('button')) button.disabled = busy;
}

function prepare(form: HTMLFormElement): void {
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    say(form, '');
    setBusy(form, true);
    WebAuthnAbortService.cancelCeremony();
    run(form).catch((error: unknown) => {
      setBusy(form, false);
      say(form, explain(error));
    });
  });
}

/**
 * Passkeys offered where a name is filled in (conditional mediation). Nobody asked for it, so nobody is told when it can't
 * be done; only what becomes of a passkey that was picked.
 */
async function offer(form: HTMLFormElement): Promise<void> {
  if (form.dataset['autofill'] !== 'yes' || !(await browserSupportsWebAuthnAutofill())) return;
  const options = await ask(form, form.dataset['options']).catch(() => undefined);
  if (options === undefined) return;
  try {
    await sign(form, options.options, true);
  } catch (error) {
    if (error instanceof Refused) say(form, error.message);
  }
}

if (browserSupportsWebAuthn()) {
  for (const element of document.querySelectorAll('[data-needs-passkey]')) element.removeAttribute('hidden');
  for (const element of document.querySelectorAll('[data-without-passkey]')) element.setAttribute('hidden', '');
  for (const form of document.querySelectorAll<HTMLFormElement>('form[data-passkey]')) {
    prepare(form);
    void offer(form);
  }
}
