import { stringsIn } from '../../infra/config/strings-in.ts';
import type { ConfigIssue } from '../../shared/errors.ts';
import type { ServicesFile } from './read-files.ts';

/**
 * What can be nothing but a secret, by its shape: private keys (RFC 7468), keys with a maker's prefix, a password in an
 * address. Every quantifier is bounded or before a fixed character class, so matching stays linear.
 */
const SHAPES: readonly RegExp[] = [
  /-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY-----/,
  /(?:\bsk-|\b[srp]k_live_|\bwhsec_|\bgh[pousr]_|\bgithub_pat_|\bglpat-|\bxox[a-z]-|\bnpm_|\bhf_|\bAGE-SECRET-KEY-)[A-Za-z0-9_-]{20}/,
  /\bAKIA[0-9A-Z]{16}\b/,
  /\bAIza[0-9A-Za-z_-]{35}/,
  /[a-z]:\/\/[^\s:/?#@"]{1,256}:[^\s/?#@"]{1,512}@/,
];

/** Whether a text can be nothing but a secret, or holds one. */
export function isSecretByShape(text: string): boolean {
  return SHAPES.some((shape) => shape.test(text));
}

/** Secrets that stand in `services/` themselves: it is shared and kept in version control. */
export function literalSecrets({ yaml }: ServicesFile): ConfigIssue[] {
  if (yaml === undefined) return [];
  return [...stringsIn(yaml.value)]
    .filter(([, text]) => isSecretByShape(text))
    .map(([path]) =>
      yaml.issue(
        path,
        'this looks like a secret, and services/ is no place for one',
        'keep it with `cloud secrets set`, and write ${secret:NAME} where the field takes a secret',
      ),
    );
}
