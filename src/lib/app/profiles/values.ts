import { redactConfiguration } from '../config/redact.ts';

/** A value of a profile as it may be shown: an address without its password. */
export function shownValue(value: unknown): string {
  const safe = redactConfiguration(value);
  return typeof safe === 'string' ? safe : JSON.stringify(safe);
}
