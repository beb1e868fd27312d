import { html } from '../../../lib/infra/http/html.ts';
import type { Page } from './layout.ts';
import { doneIcon, facts, given, note } from './parts.ts';

/** Why the code is asked for again. */
export type DeviceProblem = 'missing' | 'unknown' | 'expired' | 'used' | 'aborted' | 'failed';

const problems: Record<DeviceProblem, string> = {
  missing: 'Enter the code that your device shows.',
  unknown: 'There is no such code. Compare it with the one on your device.',
  expired: 'This code has expired. Let your device make another one.',
  used: 'This code was used already. Let your device make another one.',
  aborted: 'You refused it. The device was told, and can close this.',
  failed: 'This form was opened too long ago, or in another browser. Enter the code again.',
};

export interface DeviceCodeView {
  /** Where the form leads. */
  readonly action: string;
  /** What it must bring along. */
  readonly xsrf: string;
  /** What was entered, or came with the address. */
  readonly userCode?: string | undefined;
  readonly problem?: DeviceProblem | undefined;
}

/** Asks for the code that a device shows (RFC 8628 section 3.3). */
export function deviceCodePage(view: DeviceCodeView): Page {
  const problem = view.problem === undefined ? undefined : problems[view.problem];
  const over = view.problem === 'aborted';
  return {
    // The form itself was not ours; a code that is not good is an answer like any other.
    ...(view.problem === 'failed' ? { status: 400 } : {}),
    title: problem === undefined || over ? 'Connect a device' : 'Error: Connect a device',
    body: html`<h1>Connect a device</h1>
<p class="lead">Enter the code that your device or program shows, if it is you who began there.</p>
${problem !== undefined && html`<div class="note ${over ? 'plain' : 'error'}" role="alert" id="problem">${problem}</div>`}
<form method="post" action="${view.action}" class="stack">
<input type="hidden" name="xsrf" value="${view.xsrf}">
<div>
<label for="user_code">Code</label>
<input id="user_code" name="user_code" type="text" class="code-field" required maxlength="20" autocomplete="off" autocapitalize="characters" spellcheck="false" autofocus aria-describedby="code-help${problem !== undefined && ' problem'}"${problem !== undefined && !over && html` aria-invalid="true"`} value="${view.userCode ?? ''}">
<span class="help" id="code-help">Capital letters and the dash don't matter.</span>
</div>
<button type="submit">Continue</button>
</form>`,
  };
}

export interface DeviceConfirmView extends DeviceCodeView {
  readonly userCode: string;
  readonly client: { readonly id: string; readonly name: string };
  /** Where the device asked from, and what it calls itself, where that is known. */
  readonly address?: string | undefined;
  readonly userAgent?: string | undefined;
}

/** Shows what asks and the code to compare, before anything is allowed (RFC 8628 section 5.4). */
export function deviceConfirmPage(view: DeviceConfirmView): Page {
  return {
    title: 'Is this your device?',
    body: html`<h1>Is this your device?</h1>
<p class="lead">Compare the code with the one that your device shows now.</p>
<p class="code-shown" aria-label="Code"><bdi>${view.userCode}</bdi></p>
${facts([
  ['Application', given(view.client.name)],
  ['Known as', html`<code>${given(view.client.id, 60)}</code>`],
  ...(view.address === undefined ? [] : [['Asked from', html`<code>${given(view.address, 60)}</code>`] as const]),
  ...(view.userAgent === undefined ? [] : [['Calls itself', given(view.userAgent, 60)] as const]),
])}
${note(
  'caution',
  html`<strong>Did somebody send you this code?</strong> Then refuse: it is their device, and they would act in your name.`,
)}
<form method="post" action="${view.action}">
<input type="hidden" name="xsrf" value="${view.xsrf}">
<input type="hidden" name="user_code" value="${view.userCode}">
<input type="hidden" name="confirm" value="yes">
<div class="row">
<button type="submit" name="abort" value="yes" class="quiet">Refuse</button>
<button type="submit">It is my device</button>
</div>
</form>`,
  };
}

/** The device is told by itself; nothing is left to do here. */
export function deviceDonePage(view: { readonly clientName: string }): Page {
  return {
    title: 'Your device is connected',
    body: html`${doneIcon}<h1>Your device is connected</h1>
<p class="lead">${given(view.clientName)} goes on by itself in a few seconds. You can close this window.</p>
<p class="small soft">To disconnect it, go to <a href="/auth/account">your account</a>.</p>`,
  };
}
