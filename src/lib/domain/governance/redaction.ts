import { hash } from 'node:crypto';
import { canonicalJson } from './canonical-json.ts';
import { redacted, secretFlag, secretKey, secretNumberKey, secretPatterns, suspicious } from './secret-patterns.ts';

/** Longest stored form of a call's input, in characters of JSON. */
export const maxInputLength = 16_384;
/** Longest stored error text, in characters. */
export const maxErrorLength = 2_000;

const maxStringLength = 4_096;
const maxKeyLength = 256;
const maxDepth = 24;
/** Characters of a long string that are looked at: a secret across the cut is still found before the cut is made. */
const scanLength = maxStringLength * 2;
const maxSecrets = 32;
const minSecretLength = 4;
const maxCollectSteps = 20_000;
const truncated = '[truncated]';

/** The input of a call as the audit keeps it. */
export interface AuditedInput {
  /** SHA-256 over the canonical JSON of the whole input, in hex. */
  readonly digest: string;
  /** JSON text, redacted and at most {@link maxInputLength} long. */
  readonly json: string;
  /** Values that were found secret by their name; an error text that quotes one of them must lose it too. */
  readonly secrets: readonly string[];
}

const noSecrets: readonly string[] = [];

/**
 * Prepares a call's input for the audit. On the hot path: an input without anything suspicious costs its canonical text,
 * one digest and one scan.
 *
 * @param input a value from `JSON.parse` of bounded depth
 * @param secretNames names of arguments that the server's configuration marks secret, whatever they are called
 */
export function auditInput(input: unknown, secretNames?: ReadonlySet<string>): AuditedInput {
  const canonical = canonicalJson(input);
  const digest = hash('sha256', canonical, 'hex');
  if (secretNames === undefined && canonical.length <= maxInputLength && !suspicious.test(canonical)) {
    return { digest, json: canonical, secrets: noSecrets };
  }
  const secrets = collectSecrets(input, secretNames);
  const json = JSON.stringify(redactValue(input, 0, { left: maxInputLength - 64, secrets, secretNames }));
  return { digest, json: json.length <= maxInputLength ? json : JSON.stringify(truncated), secrets };
}

/**
 * A text without secrets, fit for a row or a log line: an upstream's error message, say.
 *
 * @param secrets values known to be secret, removed wherever they are quoted
 * @param limit longest result, in characters
 */
export function redactText(text: string, secrets: readonly string[] = noSecrets, limit = maxErrorLength): string {
  return clip(clean(text.length > limit * 2 ? text.slice(0, limit * 2) : text, secrets), limit);
}

/**
 * A value without secrets, whole: nothing is cut.
 * @param value from `JSON.parse`, of bounded depth
 */
export function redactWhole(value: unknown, secretNames?: ReadonlySet<string>): unknown {
  if (typeof value === 'string') return clean(value, noSecrets);
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) {
    return value.map((item, index) => (followsSecretFlag(value, index) ? redacted : redactWhole(item, secretNames)));
  }
  const entries = Object.entries(value).map(([key, inner]): [string, unknown] => [
    clean(key, noSecrets),
    isSecretMember(key, inner, secretNames) ? redacted : redactWhole(inner, secretNames),
  ]);
  return Object.fromEntries(entries);
}

interface Walk {
  /** How many characters of JSON may still be written. */
  left: number;
  /** Values to remove wherever they are quoted. */
  readonly secrets: readonly string[];
  readonly secretNames: ReadonlySet<string> | undefined;
}

function redactValue(value: unknown, depth: number, walk: Walk): unknown {
  if (typeof value === 'string') return spend(redactString(value, walk.secrets), walk);
  if (typeof value !== 'object' || value === null) {
    walk.left -= 8;
    return value;
  }
  if (depth >= maxDepth) return spend(truncated, walk);
  walk.left -= 2;
  return Array.isArray(value) ? redactArray(value, depth, walk) : redactObject(value, depth, walk);
}

function redactArray(items: readonly unknown[], depth: number, walk: Walk): unknown[] {
  const result: unknown[] = [];
  for (const [index, item] of items.entries()) {
    if (walk.left <= 0) {
      result.push(truncated);
      break;
    }
    result.push(followsSecretFlag(items, index) ? spend(redacted, walk) : redactValue(item, depth + 1, walk));
    walk.left -= 1;
  }
  return result;
}

function redactObject(record: object, depth: number, walk: Walk): Record<string, unknown> {
  // Without a prototype: a member called `__proto__` stays a member.
  const result: Record<string, unknown> = Object.create(null) as Record<string, unknown>;
  for (const [key, value] of Object.entries(record)) {
    if (walk.left <= 0) {
      result[truncated] = true;
      break;
    }
    const name = spend(clip(redactString(key, walk.secrets), maxKeyLength), walk);
    const secret = isSecretMember(key, value, walk.secretNames);
    result[name] = secret ? spend(redacted, walk) : redactValue(value, depth + 1, walk);
    walk.left -= 2;
  }
  return result;
}

function isSecretMember(key: string, value: unknown, names: ReadonlySet<string> | undefined): boolean {
  if (names?.has(key) === true) return true;
  if (value === null || typeof value === 'boolean') return false;
  const name = key.length > maxKeyLength ? key.slice(0, maxKeyLength) : key;
  return typeof value === 'number' ? secretNumberKey.test(name) : secretKey.test(name);
}

/** Whether an item of an argument list is the value of the flag before it. */
function followsSecretFlag(items: readonly unknown[], index: number): boolean {
  const [flag, value] = [items[index - 1], items[index]];
  if (typeof flag !== 'string' || flag.length > 160 || typeof value !== 'string') return false;
  return !value.startsWith('-') && secretFlag.test(flag);
}

/** The values that are secret by their name, so that they are found where they stand without it: in a text, an error. */
function collectSecrets(input: unknown, names: ReadonlySet<string> | undefined): string[] {
  const search: Search = { found: new Set(), steps: maxCollectSteps, names };
  collect(input, false, 0, search);
  // The longest first: a secret may begin with another one.
  return [...search.found].sort((a, b) => b.length - a.length);
}

interface Search {
  readonly found: Set<string>;
  /** How many values may still be looked at. */
  steps: number;
  readonly names: ReadonlySet<string> | undefined;
}

function collect(value: unknown, secret: boolean, depth: number, search: Search): void {
  search.steps -= 1;
  if (search.steps < 0 || search.found.size >= maxSecrets || depth > maxDepth) return;
  if (typeof value === 'string') {
    // A very short one would blank innocent text all over.
    if (secret && value.length >= minSecretLength) search.found.add(value);
    return;
  }
  if (typeof value !== 'object' || value === null) return;
  if (Array.isArray(value)) {
    for (const [index, item] of value.entries()) {
      collect(item, secret || followsSecretFlag(value, index), depth + 1, search);
    }
    return;
  }
  for (const [key, inner] of Object.entries(value)) {
    collect(inner, secret || isSecretMember(key, inner, search.names), depth + 1, search);
  }
}

function redactString(text: string, secrets: readonly string[]): string {
  const kept = clip(clean(text.length > scanLength ? text.slice(0, scanLength) : text, secrets), maxStringLength);
  return text.length > scanLength ? `${kept}[${text.length} characters]` : kept;
}

function clean(text: string, secrets: readonly string[]): string {
  let result = text;
  for (const secret of secrets) {
    if (result.includes(secret)) result = result.replaceAll(secret, redacted);
  }
  if (!suspicious.test(result)) return result;
  // `jsonb` and `text` refuse U+0000, `jsonb` also lone surrogates.
  result = result.toWellFormed().replaceAll('\0', '\ufffd');
  for (const { find, replace } of secretPatterns) result = result.replace(find, replace);
  return result;
}

function clip(text: string, limit: number): string {
  if (text.length <= limit) return text;
  return `${text.slice(0, limit).toWellFormed()}…`;
}

/** Counts a string against the bound and cuts it to what is left. */
function spend(text: string, walk: Walk): string {
  // Two quotes and a comma; escapes can make a character six long.
  let kept = text;
  let cost = JSON.stringify(kept).length + 1;
  if (cost > walk.left) {
    kept = clip(text, Math.max(0, Math.floor(walk.left / 6)));
    cost = JSON.stringify(kept).length + 1;
  }
  walk.left -= cost;
  return kept;
}
