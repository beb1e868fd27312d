/**
 * What a secret looks like: by the name that it goes under, and by its own shape. Every quantifier in front of a
 * possible mismatch is bounded, so that matching stays linear in the text (no catastrophic backtracking).
 */
export const redacted = '[redacted]';

/** Words that make the value beside them a secret: `password=…`, `--api-key …`, `"client_secret": …`. */
const secretWords = [
  'passw(?:or)?d',
  'passphrase',
  'passcode',
  'secret',
  'token',
  'credential',
  'cookie',
  'bearer',
  'authorization',
  'api[-_. ]?key',
  '(?:access|private|signing|encryption|account|ssh|auth|master|service|session|license)[-_. ]?key',
  'connection[-_ ]?string',
  'database[-_ ]?url',
].join('|');

/** Names that are secret only as a whole word, because they occur inside innocent ones (`bypass`, `spin`). */
const secretWholeWords = 'pass|pwd|auth|jwt|otp|pin|cvv|dsn';

/** The name of an object member whose value is a secret. */
export const secretKey = new RegExp(`${secretWords}|(?:^|[-_.])(?:${secretWholeWords})$`, 'i');

/** Of those, the names under which a bare number is still a secret (`pin: 1234`), unlike `max_tokens: 4096`. */
export const secretNumberKey = /pass|pin$|otp$|cvv|secret/i;

/** A command-line flag whose value is the next argument. */
export const secretFlag = new RegExp(
  `^--?[\\w.-]{0,64}(?:${secretWords}|(?<=[-_.])(?:${secretWholeWords})$)[\\w.-]{0,64}$`,
  'i',
);

interface SecretPattern {
  readonly find: RegExp;
  readonly replace: string;
}

/** Shapes that are secret wherever they stand in a text, in the order in which they are replaced. */
export const secretPatterns: readonly SecretPattern[] = [
  // PEM (RFC 7468); an unfinished block is cut to the end of the text.
  {
    find: /-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY-----|$)/g,
    replace: redacted,
  },
  { find: /\b(Bearer|Basic|DPoP)\s+[A-Za-z0-9\-._~+/]{6,}=*/gi, replace: `$1 ${redacted}` },
  // Compact JWS and JWE: base64url of `{"` is `eyJ` (RFC 7515, RFC 7516).
  { find: /eyJ[A-Za-z0-9_-]{6,}\.[A-Za-z0-9_-]{2,}(?:\.[A-Za-z0-9_-]*){0,3}/g, replace: redacted },
  // Keys with a maker's prefix.
  {
    find: /(?:\bsk-|\b[srp]k_(?:live|test)_|\bwhsec_|gh[pousr]_|github_pat_|glpat-|\bxox[a-z]-|\bxapp-|\bya29\.|\bnpm_|\bhf_|\bSG\.|\bpypi-|dop_v1_|shp(?:at|ca|pa|ss)_|lin_api_|figd_|AGE-SECRET-KEY-)[A-Za-z0-9_.-]{8,}/g,
    replace: redacted,
  },
  { find: /\b(?:AKIA|ASIA|AROA|AIDA)[0-9A-Z]{12,}/g, replace: redacted },
  { find: /\bAIza[0-9A-Za-z_-]{20,}/g, replace: redacted },
  // The password in a URL's user information.
  { find: /(:\/\/[^\s:/?#@"]{0,256}:)[^\s/?#@"]{1,512}@/g, replace: `$1${redacted}@` },
  // name=value, "name": "value", NAME: value
  {
    find: new RegExp(
      `((?:${secretWords}|\\b(?:${secretWholeWords})\\b)[\\w.-]{0,64}\\\\?["']?\\s{0,4}[:=]\\s{0,4})(?:\\\\?"(?:[^"\\\\]|\\\\[^"])*\\\\?"?|'[^']*'?|(?!\\[redacted\\])[^\\s"',;&}\\]]+)`,
      'gi',
    ),
    replace: `$1${redacted}`,
  },
  // --name value, inside one string
  {
    find: new RegExp(
      `(--?[\\w.-]{0,64}(?:${secretWords})[\\w.-]{0,64}\\s{1,4})(?!-|\\[redacted\\])("[^"]*"?|'[^']*'?|\\S+)`,
      'gi',
    ),
    replace: `$1${redacted}`,
  },
];

/**
 * Quick look at a text (plain or as JSON): without a match nothing above can match either, nor is there anything that
 * PostgreSQL's `jsonb` refuses (U+0000, lone surrogates, which `JSON.stringify` writes as escapes). The property test
 * holds it against the patterns.
 */
export const suspicious = new RegExp(
  [
    secretWords,
    secretWholeWords,
    'basic\\s',
    'dpop\\s',
    'eyJ',
    '-----BEGIN',
    'sk-',
    '[srp]k_',
    'whsec_',
    'gh[pousr]_',
    'github_pat_',
    'glpat-',
    'xox[a-z]-',
    'xapp-',
    'ya29',
    'npm_',
    'hf_',
    'SG\\.',
    'pypi-',
    'dop_v1_',
    'shp[a-z]{2}_',
    'lin_api_',
    'figd_',
    'AGE-SECRET',
    'A(?:KIA|SIA|ROA|IDA|Iza)',
    ':\\/\\/[^\\s/"]{0,800}@',
    '\\\\u0000|\\\\ud[89a-f]|\\0|[\\ud800-\\udfff]',
  ].join('|'),
  'i',
);
