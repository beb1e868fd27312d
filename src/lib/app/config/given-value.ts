import { isDeepStrictEqual } from 'node:util';
import { parse } from 'yaml';
import type { z } from 'zod';
import { fieldsAt } from '../../infra/config/schema-names.ts';
import { secretName } from '../../infra/config/secret-reference.ts';
import { dottedPath } from '../../infra/config/yaml-path.ts';
import { UsageError } from '../../shared/errors.ts';
import { redactConfiguration } from './redact.ts';
import type { ConfigPath } from './types.ts';

// Values that are given on a command line for fields of the configuration.

/** The field that a value is for: where it is in a file of this schema. */
interface Field {
  readonly schema: z.ZodType;
  readonly path: ConfigPath;
}

/** Text where the field is text, else what YAML makes of it (`true`, `10`, `[a, b]`). */
export function typedValue(text: string, { schema, path }: Field): unknown {
  const types = new Set<string>(fieldsAt(schema, path).flatMap(({ type }) => type ?? []));
  if (types.has('integer')) types.add('number');
  if (types.size === 1 && types.has('string')) return text;
  let value: unknown;
  try {
    value = parse(text, { version: '1.2', uniqueKeys: true, maxAliasCount: 0, logLevel: 'silent' });
  } catch {
    return text; // no YAML: text, which the schema takes or refuses
  }
  return types.has('string') && typeof value !== 'object' && !types.has(typeof value) ? text : value;
}

/**
 * What would be blanked when it is shown has no place in a file, nor on a command line.
 * @param path in the whole configuration
 * @throws UsageError, without the value
 */
export function refuseSecret(path: ConfigPath, value: unknown): void {
  const nested = path.reduceRight<unknown>((inner, step) => ({ [step]: inner }), value);
  if (isDeepStrictEqual(redactConfiguration(nested), nested)) return;
  const name = path.length === 2 ? dottedPath(path) : String(path.at(-1));
  throw new UsageError(`${dottedPath(path)} would hold a secret as plain text; nothing was written`, {
    hint: `Keep it as a secret, and set '\${secret:${name}}' here. What was on the command line may be in the shell's history`,
    next: [`cloud secrets set ${secretName.test(name) ? name : '<name>'}`],
  });
}
