import { type Html, html, plainName } from '../../../lib/infra/http/html.ts';

/** Pieces that several pages are made of. */

export type NoteKind = 'error' | 'caution' | 'good' | 'plain';

/** A message in its own frame; errors are read out at once (ARIA role `alert`). */
export function note(kind: NoteKind, text: Html | string): Html {
  const role = kind === 'error' ? 'alert' : 'note';
  return html`<div class="note ${kind}" role="${role}">${text}</div>`;
}

/** Names and values that belong together. */
export function facts(pairs: readonly (readonly [name: string, value: Html | string])[]): Html {
  return html`<dl class="facts">${pairs.map(([name, value]) => html`<dt>${name}</dt><dd>${value}</dd>`)}</dl>`;
}

/** A name that somebody else chose: made fit to be shown, and kept from turning the text around it. */
export function given(name: string, max?: number): Html {
  return html`<bdi>${plainName(name, max)}</bdi>`;
}

export const keyIcon: Html = html`<svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false" fill="none" stroke="currentColor" stroke-width="1.8" stroke-linecap="round" stroke-linejoin="round"><circle cx="8.5" cy="9" r="4.5"/><path d="M11.8 12.2L20 20.5M16.5 17l2.2-2.2"/></svg>`;

export const doneIcon: Html = html`<svg class="done" viewBox="0 0 44 44" aria-hidden="true" focusable="false" fill="none" stroke="currentColor" stroke-width="2.5" stroke-linecap="round" stroke-linejoin="round"><circle cx="22" cy="22" r="19"/><path d="M14 22.5l5.5 5.5L30.5 17"/></svg>`;

const units = [
  ['year', 31_557_600],
  ['month', 2_629_800],
  ['day', 86_400],
  ['hour', 3_600],
  ['minute', 60],
] as const;

const relative = new Intl.RelativeTimeFormat('en', { numeric: 'auto' });
const absolute = new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium', timeStyle: 'short', timeZone: 'UTC' });

/** A time as people say it, exact to who points at it. */
export function when(time: Date, now: Date = new Date()): Html {
  const seconds = (time.getTime() - now.getTime()) / 1000;
  const [unit, length] = units.find(([, size]) => Math.abs(seconds) >= size) ?? ['now', 1];
  const words =
    unit === 'now' ? (seconds > 0 ? 'in a moment' : 'just now') : relative.format(Math.round(seconds / length), unit);
  return html`<time datetime="${time.toISOString()}" title="${absolute.format(time)} UTC">${words}</time>`;
}
