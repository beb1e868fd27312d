import { KnownSecrets } from '../../lib/infra/logging/known-secrets.ts';
import { isSecretName } from '../../lib/infra/logging/redact.ts';

/** What an extension prints of a call may come after its end, in ms. */
const lingerMs = 60_000;
const depthLimit = 16;
const countLimit = 200;

/** The secret arguments of one call. */
interface GuardedArguments {
  /** A text for the caller, without them and without the secrets of the server; those of other calls are none of his. */
  blank(text: string): string;
  /** To be called when the call has ended. */
  forget(): void;
}

/**
 * Keeps the secret arguments of a call out of the log while it runs.
 * @param names arguments that the server's configuration marks secret; those that are secret by their name are added
 */
export function guardArguments(secrets: KnownSecrets, input: unknown, names: ReadonlySet<string>): GuardedArguments {
  const values = secretValues(input, names);
  const forget = values.map((value) => secrets.addOfCall(value, lingerMs));
  const given = new KnownSecrets();
  for (const value of values) given.add(value);
  return {
    blank: (text) => given.blank(secrets.blankOwn(text)),
    forget() {
      for (const one of forget) one();
    },
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
