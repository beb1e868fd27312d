/**
 * What stands at a path with dots below a call's arguments. A name with a dot in it counts as it stands as well: both are
 * there when a caller writes both, and a rule that took one of them for the value would not see the other.
 */
export function valuesAt(input: unknown, path: string): unknown[] {
  const nested = path.includes('.') ? [valueBelow(input, path.split('.'))] : [];
  return [valueBelow(input, [path]), ...nested].filter((value) => value !== undefined);
}

function valueBelow(input: unknown, path: readonly string[]): unknown {
  let value: unknown = input;
  for (const name of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined;
    value = (value as Readonly<Record<string, unknown>>)[name];
  }
  return value;
}

/** Whether a text within a value fits: names of members too, numbers and truth values as they are written. */
export function someText(value: unknown, fits: (text: string) => boolean): boolean {
  if (typeof value === 'string') return fits(value);
  if (typeof value === 'number' || typeof value === 'boolean') return fits(String(value));
  if (Array.isArray(value)) return value.some((item) => someText(item, fits));
  if (typeof value !== 'object' || value === null) return false;
  return Object.entries(value).some(([name, inner]) => fits(name) || someText(inner, fits));
}

/** The same value with each of its strings, names of members too, put through a function. */
export function mapTexts(value: unknown, change: (text: string) => string): unknown {
  if (typeof value === 'string') return change(value);
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map((item) => mapTexts(item, change));
  // Defined, not set: a member called `__proto__` stays a member.
  const result: Record<string, unknown> = {};
  for (const [name, inner] of Object.entries(value)) {
    const own = { value: mapTexts(inner, change), enumerable: true, configurable: true, writable: true };
    Object.defineProperty(result, change(name), own);
  }
  return result;
}
