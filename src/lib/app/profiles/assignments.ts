import { parse } from 'yaml';
import { z } from 'zod';
import { profileFileSchema } from '../../infra/config/profile-schema.ts';
import { quoted } from '../../infra/config/quoted.ts';
import { secretReference } from '../../infra/config/secret-reference.ts';
import type { YamlChange } from '../../infra/config/yaml-edit.ts';
import { parseDottedPath } from '../../infra/config/yaml-path.ts';
import { UsageError } from '../../shared/errors.ts';

interface JsonSchema {
  readonly type?: string;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
}

/**
 * The change that `server.port=8090` asks for. The value is YAML (`[a, b]`, `true`, `10`), and text where the field is text.
 * @throws UsageError for what is no assignment, and for a password, which does not belong on a command line
 */
export function parseAssignment(text: string): YamlChange {
  const at = text.indexOf('=');
  const path = at < 1 ? undefined : parseDottedPath(text.slice(0, at));
  if (path === undefined) {
    throw new UsageError(`${quoted(text.slice(0, Math.max(at, 0)) || text)} sets nothing.`, {
      hint: 'Write it as field=value, such as server.port=8090',
    });
  }
  const given = text.slice(at + 1);
  refusePassword(path, given);
  return { path, value: isText(path) ? given : yamlValue(given) };
}

/** The change that takes a field away, so that its default holds. @throws UsageError for what is no path */
export function parseUnset(text: string): YamlChange {
  const path = parseDottedPath(text);
  if (path !== undefined) return { path, unset: true };
  throw new UsageError(`${quoted(text)} is no field.`, { hint: 'Write it as server.port' });
}

/** Whoever looks at the list of processes or at the shell's history reads it. */
function refusePassword(path: readonly (string | number)[], value: string): void {
  if (path.join('.') !== 'database.url' || secretReference(value) !== undefined) return;
  if (!URL.canParse(value) || new URL(value).password === '') return;
  throw new UsageError('A password does not belong on a command line.', {
    hint: 'Keep the address as a secret, and set database.url=${secret:database.url}',
    next: ['cloud secrets set --help'],
  });
}

function isText(path: readonly (string | number)[]): boolean {
  let node = z.toJSONSchema(profileFileSchema, { io: 'input', unrepresentable: 'any' }) as JsonSchema | undefined;
  for (const step of path) node = node?.properties?.[step];
  return node?.type === 'string';
}

function yamlValue(text: string): unknown {
  try {
    return parse(text, { version: '1.2', uniqueKeys: true, maxAliasCount: 0 }) as unknown;
  } catch {
    return text; // no YAML: text, which the schema takes or refuses
  }
}
