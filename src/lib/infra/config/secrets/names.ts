import { randomBytes } from 'node:crypto';
import { UsageError } from '../../../shared/errors.ts';
import { serverNameForm } from '../../../shared/server-name.ts';
import { secretName } from '../secret-reference.ts';

/** The secrets that every instance has from its creation: passwords of the database roles, root of the identity keys, the
 * key that signs the audit. */
export const INSTANCE_SECRETS = [
  'database.owner',
  'database.app',
  'database.audit',
  'database.sealer',
  'database.reader',
  'database.superuser',
  'identity.root',
  'audit.signing',
] as const;

/** A fresh value for each of {@link INSTANCE_SECRETS}. */
export function firstSecrets(): Map<string, string> {
  return new Map(INSTANCE_SECRETS.map((name) => [name, generateSecret()]));
}

/** 256 bits from the operating system's generator, base64url. */
export function generateSecret(): string {
  return randomBytes(32).toString('base64url');
}

const valueBytesMax = 64 * 1024;

/** The name under which a secret is kept for one MCP server alone. */
export function serverSecretName(server: string, name: string): string {
  return `mcp.${server}.${name}`;
}

/** The server and the name within it; undefined for a secret that all share. */
export function serverOfSecret(name: string): { readonly server: string; readonly name: string } | undefined {
  const match = /^mcp\.([^.]+)\.(.+)$/.exec(name);
  if (match?.[1] === undefined || match[2] === undefined || !serverNameForm.test(match[1])) return undefined;
  return { server: match[1], name: match[2] };
}

/** Whether the system made this secret for itself: nobody but it knows what has to change along with it. */
export function isGeneratedSecret(name: string): boolean {
  return (INSTANCE_SECRETS as readonly string[]).includes(name) || name.startsWith('database.mcp.');
}

/** @throws UsageError for what can't be a secret's name */
export function assertSecretName(name: string): void {
  if (secretName.test(name)) return;
  throw new UsageError('That is no name for a secret.', {
    hint: 'Use letters, digits, dots, dashes and underscores, at most 128, beginning with a letter or digit.',
  });
}

/** @throws UsageError for a value that is too large; it is not quoted */
export function assertSecretValue(name: string, value: string): void {
  if (Buffer.byteLength(value) <= valueBytesMax) return;
  throw new UsageError(`The value of \`${name}\` is larger than ${valueBytesMax} bytes.`);
}
