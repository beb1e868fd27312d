import type { KnownSecrets } from './known-secrets.ts';

const redacted = '[redacted]';
const depthLimit = 8;
/** A longer text is cut off in a log line, in characters. */
export const textLimit = 8_192;

/** Names under which a secret goes. */
const secretName =
  /passw|passphrase|secret|token|credential|cookie|authorization|api[-_]?key|private[-_]?key|master[-_]?key|identity[-_]?key|database[-_]?url|^(pwd|jwt|key)$/i;

/** Texts that are secret wherever they stand. Quantifiers before a possible mismatch are bounded: matching stays linear. */
const shapes: readonly (readonly [RegExp, string])[] = [
  [/\b(Bearer|Basic|DPoP)\s+[A-Za-z0-9\-._~+/]{6,}=*/gi, `$1 ${redacted}`],
  // Compact JWS and JWE begin with base64url of `{"` (RFC 7515, RFC 7516).
  [/eyJ[A-Za-z0-9_-]{6,}\.[A-Za-z0-9_-]{2,}(?:\.[A-Za-z0-9_-]*){0,3}/g, redacted],
  [/-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY-----|$)/g, redacted],
  // The password in a URL.
  [/(:\/\/[^\s:/?#@"]{0,256}:)[^\s/?#@"]{1,512}@/g, `$1${redacted}@`],
  [
    /((?:passw(?:or)?d|passphrase|secret|token|api[-_]?key)["']?\s{0,4}[:=]\s{0,4}["']?)(?!\[redacted\])[^\s"',;&}]{1,4096}/gi,
    `$1${redacted}`,
  ],
];

/**
 * A text fit for a log line.
 * @param secrets values to remove wherever they are quoted
 * @param limit characters; what is beyond them is cut off
 */
export function redactLogText(text: string, secrets?: KnownSecrets, limit = textLimit): string {
  let clean = secrets === undefined ? text : secrets.blank(text);
  if (clean.length > limit) clean = `${clean.slice(0, limit)}…`;
  for (const [find, replace] of shapes) clean = clean.replace(find, replace);
  return clean;
}

interface ValueOptions {
  readonly secrets?: KnownSecrets | undefined;
  readonly depth?: number;
}

/** A value fit for a log line: errors as plain members with their causes, secrets blanked, nothing deeper than 8 levels. */
export function redactLogValue(value: unknown, { secrets, depth = 0 }: ValueOptions = {}): unknown {
  if (typeof value === 'string') return redactLogText(value, secrets);
  if (typeof value !== 'object' || value === null || value instanceof Date) return value;
  if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`;
  if (depth >= depthLimit) return '[truncated]';
  const deeper = { secrets, depth: depth + 1 };
  if (Array.isArray(value)) return value.map((item) => redactLogValue(item, deeper));
  if (value instanceof Error) return redactLogValue(plainError(value), { secrets, depth });
  return Object.fromEntries(
    Object.entries(value).map(([name, item]) => [
      secrets === undefined ? name : secrets.blank(name),
      isSecret(name, item) ? redacted : redactLogValue(item, deeper),
    ]),
  );
}

function isSecret(name: string, item: unknown): boolean {
  return (typeof item === 'string' || typeof item === 'object') && item !== null && isSecretName(name);
}

/** Whether what goes under this name (a member, a variable) is a secret. */
export function isSecretName(name: string): boolean {
  return secretName.test(name);
}

function plainError(error: Error): Record<string, unknown> {
  return {
    type: error.name,
    message: error.message,
    ...Object.fromEntries(Object.entries(error).filter(([, value]) => value !== undefined)),
    stack: error.stack,
    ...(error.cause === undefined ? {} : { cause: error.cause }),
  };
}
