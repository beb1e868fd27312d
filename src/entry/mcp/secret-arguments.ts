import type { KnownSecrets } from '../../lib/infra/logging/known-secrets.ts';
import { isSecretName } from '../../lib/infra/logging/redact.ts';

/** What an extension prints of a call may come after its end, in ms. */
const lingerMs = 60_000;
const depthLimit = 16;
const countLimit = 200;

/**
 * Keeps the secret arguments of a call out of the log while it runs.
 * @param names arguments that the server's configuration marks secret; those that are secret by their name are added
 * @returns to be called when the call has ended
 */
export function guardArguments(secrets: KnownSecrets, input: unknown, names: ReadonlySet<string>): () => void {
  const values = secretValues(input, names);
  const forget = values.map((value) => secrets.addOfCall(value, lingerMs));
  return () => {
    for (const one of forget) one();
  };
}

function secretValues(input: unknown, names: ReadonlySet<string>): string[] {
  const found = new Set<string>();
  const visit = (value: unknown, secret: boolean, depth: number): void => {
    if (found.size >= countLimit || depth > depthLimit) return;
    if (typeof value === 'object' && value !== null) {
      for (const [name, item] of Object.entries(value)) {
        visit(item, secret || names.has(name) || (!Array.isArray(value) && isSecretName(name)), depth + 1);
      }
    } else if (secret && (typeof value === 'string' || typeof value === 'number')) found.add(String(value));
  };
  visit(input, false, 0);
  return [...found];
}
