import type { YamlPath } from './yaml-document.ts';

/** Every text within a value, with its path. */
export function* stringsIn(value: unknown, path: YamlPath = []): Generator<readonly [YamlPath, string]> {
  if (typeof value === 'string') yield [path, value];
  else if (Array.isArray(value))
    for (const [index, inner] of value.entries()) yield* stringsIn(inner, [...path, index]);
  else if (typeof value === 'object' && value !== null)
    for (const [key, inner] of Object.entries(value)) yield* stringsIn(inner, [...path, key]);
}
