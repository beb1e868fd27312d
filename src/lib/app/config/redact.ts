import { secretReference } from '../../infra/config/secret-reference.ts';
import { isSecretName, redactLogText } from '../../infra/logging/redact.ts';
import { isSecretByShape } from './literal-secrets.ts';
import type { ConfigNode } from './types.ts';

const hidden = '[redacted]';

/** A reference wherever it stands in a text: a name, no secret. */
const references = /(\$\{secret:[^}]*\})/;

/**
 * Configuration fit to be shown: references to secrets stay as they are, passwords in addresses and what goes under the
 * name of a secret are blanked, as is the value of a variable that is declared as one. What is undefined is left out.
 */
export function redactConfiguration(value: unknown): ConfigNode {
  return redacted(value, '', false);
}

function redacted(value: unknown, name: string, secret: boolean): ConfigNode {
  if (typeof value === 'string') return redactedText(value, secret);
  if (typeof value === 'number' || typeof value === 'boolean') return value;
  if (Array.isArray(value)) return value.map((entry) => redacted(entry, name, secret));
  if (typeof value !== 'object' || value === null) return null;
  const declared = (value as { secret?: unknown }).secret === true;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, entry]) => entry !== undefined)
      .map(([key, entry]) => {
        const isValue = declared && (key === 'value' || key === 'default');
        // The key of a certificate is a path, and the secret of a server elsewhere a name.
        const isName = (name === 'https' && key === 'key') || (name === 'upstream_auth' && key === 'secret');
        const isText = typeof entry === 'string' && isSecretName(key) && !isName;
        return [key, redacted(entry, key, isValue || isText)];
      }),
  );
}

function redactedText(text: string, secret: boolean): string {
  if (secretReference(text) !== undefined) return text;
  if (secret) return hidden;
  const clean = text
    .split(references)
    .map((part, index) => (index % 2 === 1 ? part : redactLogText(part, undefined, Number.POSITIVE_INFINITY)))
    .join('');
  return isSecretByShape(clean.replaceAll(hidden, '')) ? hidden : clean;
}
