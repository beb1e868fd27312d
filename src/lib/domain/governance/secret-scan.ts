/** What a scan found: which kind of secret, never the secret. */
export interface SecretFinding {
  readonly kind: string;
}

interface Shape {
  readonly kind: string;
  readonly find: RegExp;
  /** Group whose text must look random; the whole match unless told. A shape without is sure by itself. */
  readonly random?: number;
}

/**
 * Shapes that are secrets with near certainty. The patterns of the redaction are wider: there a needless blank costs
 * nothing, here it would refuse a call. So nothing is found by a name alone (`password: must be long`), a key needs its
 * maker's prefix and length, and what follows the prefix must look random (`sk-learn-contrib-examples` does not).
 */
const shapes: readonly Shape[] = [
  { kind: 'private key', find: /-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY-----\s*(?:\\[nr]|[A-Za-z0-9+/=\s:,-]){32}/g },
  { kind: 'JSON Web Token', find: /\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.([A-Za-z0-9_-]{20,})/g, random: 1 },
  { kind: 'GitHub token', find: /\bgh[pousr]_([A-Za-z0-9]{36,255})\b/g, random: 1 },
  { kind: 'GitHub token', find: /\bgithub_pat_([A-Za-z0-9_]{60,255})/g, random: 1 },
  { kind: 'GitLab token', find: /\bglpat-([A-Za-z0-9_-]{20,64})/g, random: 1 },
  { kind: 'Slack token', find: /\bxox[abeoprs]-(?:\d{6,}-)?([A-Za-z0-9-]{16,250})/g, random: 1 },
  { kind: 'API key', find: /\bsk-(?:(?:proj|ant|svcacct|admin|or)-)?([A-Za-z0-9_-]{24,250})/g, random: 1 },
  { kind: 'Stripe key', find: /\b[sr]k_live_([A-Za-z0-9]{16,250})/g, random: 1 },
  { kind: 'webhook secret', find: /\bwhsec_([A-Za-z0-9+/]{24,250})/g, random: 1 },
  { kind: 'AWS access key', find: /\b(?:AKIA|ASIA)([A-Z2-7]{16})\b/g, random: 1 },
  { kind: 'Google API key', find: /\bAIza([A-Za-z0-9_-]{35})(?![A-Za-z0-9_-])/g, random: 1 },
  { kind: 'npm token', find: /\bnpm_([A-Za-z0-9]{36})\b/g, random: 1 },
  { kind: 'PyPI token', find: /\bpypi-(AgE[A-Za-z0-9_-]{50,})/g, random: 1 },
  { kind: 'Hugging Face token', find: /\bhf_([A-Za-z0-9]{30,})\b/g, random: 1 },
  { kind: 'SendGrid key', find: /\bSG\.[A-Za-z0-9_-]{16,32}\.([A-Za-z0-9_-]{32,64})/g, random: 1 },
  { kind: 'age secret key', find: /\bAGE-SECRET-KEY-1[A-Z0-9]{58}\b/g },
  {
    kind: 'password in an address',
    find: /\b[a-z][a-z0-9+.-]{1,20}:\/\/[^\s:/?#@"'<>{}[\]$]{1,128}:([^\s/?#@"'<>{}[\]$*]{8,256})@[\w.-]/gi,
    random: 1,
  },
];

/** Quick look: without a match no shape can match. */
const maybe =
  /PRIVATE KEY|eyJ|gh[pousr]_|github_pat_|glpat-|xox|sk-|[sr]k_live_|whsec_|AKIA|ASIA|AIza|npm_|pypi-|hf_|SG\.|AGE-SECRET|:\/\/[^\s/"]{0,400}@/i;

/** Bits of each character that a random key has at the least; words and repetitions stay below. */
const leastEntropy = 3;
const placeholder = /example|placeholder|changeme|your[-_]?|dummy|redacted|xxxx|\.\.\./i;

/** The kinds of secret in a text, each once. Linear in the text. */
export function scanForSecrets(text: string): SecretFinding[] {
  if (!maybe.test(text)) return [];
  const kinds = new Set<string>();
  for (const { kind, find, random } of shapes) {
    if (kinds.has(kind)) continue;
    for (const match of text.matchAll(find)) {
      if (!isReal(match, random)) continue;
      kinds.add(kind);
      break;
    }
  }
  return [...kinds].map((kind) => ({ kind }));
}

/** The text with each secret that the scan finds replaced; the same text when there is none. */
export function blankSecrets(text: string): string {
  if (!maybe.test(text)) return text;
  let result = text;
  for (const { find, random } of shapes) {
    result = result.replace(find, (...args: (string | number | undefined)[]) => {
      const groups = args.slice(
        0,
        args.findIndex((arg) => typeof arg === 'number'),
      ) as string[];
      return isReal(groups, random) ? '[redacted]' : (groups[0] ?? '');
    });
  }
  return result;
}

function isReal(match: readonly (string | undefined)[], random: number | undefined): boolean {
  if (random === undefined) return true;
  const text = match[random] ?? '';
  return !placeholder.test(text) && looksRandom(text);
}

/** Whether a text is of the kind that a generator makes: many different characters, digits or both cases, no words. */
function looksRandom(text: string): boolean {
  const sorts = Number(/\d/.test(text)) + Number(/[a-z]/.test(text)) + Number(/[A-Z]/.test(text));
  if (sorts < 2) return false;
  const least = Math.min(leastEntropy, Math.log2(text.length) * 0.75);
  return entropyOf(text) >= least && !/^(?:[a-z]{2,}|\d{1,4})(?:[-_](?:[a-z]{2,}|\d{1,4}))+$/.test(text);
}

/** Shannon entropy of the characters, in bits each. */
function entropyOf(text: string): number {
  const counts = new Map<string, number>();
  for (const character of text) counts.set(character, (counts.get(character) ?? 0) + 1);
  let bits = 0;
  for (const count of counts.values()) bits -= (count / text.length) * Math.log2(count / text.length);
  return bits;
}
