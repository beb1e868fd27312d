import { redactLogText } from '../../infra/logging/redact.ts';

/** A value of a profile as it may be shown: an address without its password. */
export function shownValue(value: unknown): string {
  return redactLogText(typeof value === 'string' ? value : JSON.stringify(value));
}
