/** Keywords whose value is a schema, a list of schemas, or schemas by name (JSON Schema 2020-12, and draft-07 before it). */
const one = ['additionalProperties', 'propertyNames', 'contains', 'not', 'if', 'then', 'else', 'unevaluatedProperties'];
const lists = ['allOf', 'anyOf', 'oneOf', 'prefixItems'];
const named = ['properties', 'patternProperties', '$defs', 'definitions', 'dependentSchemas'];
const types: ReadonlySet<unknown> = new Set(['string', 'number', 'integer', 'boolean', 'object', 'array', 'null']);

interface Place {
  readonly value: unknown;
  readonly at: string;
}

/**
 * What makes a value no JSON Schema: keywords that build it are not of their kind, or a reference that leads to itself alone.
 * Formats, patterns and numbers are left to whoever validates by it; keywords that are not known mean nothing. Its size and
 * depth are bounded elsewhere.
 */
export function schemaFault(root: Readonly<Record<string, unknown>>, name: string): string | undefined {
  const open: Place[] = [{ value: root, at: name }];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const { value, at } = next;
    if (typeof value === 'boolean') continue;
    if (!isRecord(value)) return `${at} is no schema`;
    const fault = ownFault(value, at) ?? loop(root, value, at);
    if (fault !== undefined) return fault;
    open.push(...within(value, at));
  }
  return undefined;
}

/** The schemas of which a schema is made. */
function within(schema: Readonly<Record<string, unknown>>, at: string): Place[] {
  const { items } = schema;
  const singles = one.map((key): [string, unknown] => [key, schema[key]]);
  const listed = lists.flatMap((key) => values(schema[key]).map((value): [string, unknown] => [key, value]));
  const byName = named.flatMap((key) =>
    Object.entries(schema[key] ?? {}).map(([name, value]): [string, unknown] => [`${key}.${name}`, value]),
  );
  const ofItems = (Array.isArray(items) ? items : [items]).map((value): [string, unknown] => ['items', value]);
  return [...singles, ...listed, ...byName, ...ofItems]
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => ({ value, at: `${at}.${key}` }));
}

function ownFault(schema: Readonly<Record<string, unknown>>, at: string): string | undefined {
  const { type, required, enum: choices, $ref } = schema;
  const names = Array.isArray(type) ? type : type === undefined ? [] : [type];
  if (!names.every((entry) => types.has(entry))) return `${at}.type is no type of JSON Schema`;
  if (required !== undefined && !isTexts(required)) return `${at}.required is no list of names`;
  if (choices !== undefined && !Array.isArray(choices)) return `${at}.enum is no list`;
  if ($ref !== undefined && typeof $ref !== 'string') return `${at}.$ref is no text`;
  for (const key of lists)
    if (schema[key] !== undefined && !Array.isArray(schema[key])) return `${at}.${key} is no list`;
  for (const key of named) if (schema[key] !== undefined && !isRecord(schema[key])) return `${at}.${key} is no object`;
  return undefined;
}

/** A schema may refer to itself from further in; references that lead to nothing but each other have no end. */
function loop(
  root: Readonly<Record<string, unknown>>,
  schema: Readonly<Record<string, unknown>>,
  at: string,
): string | undefined {
  const seen = new Set<unknown>();
  for (
    let step: unknown = schema;
    isRecord(step) && typeof step['$ref'] === 'string';
    step = target(root, step['$ref'])
  ) {
    if (seen.has(step)) return `${at}.$ref refers to itself without an end`;
    seen.add(step);
  }
  return undefined;
}

/** What a pointer within the schema names (RFC 6901); nothing for other references, which nobody here follows. */
function target(root: unknown, reference: string): unknown {
  if (!reference.startsWith('#')) return undefined;
  const steps = reference.slice(1).split('/').slice(1);
  return steps.reduce<unknown>((found, step) => {
    const key = step.replaceAll('~1', '/').replaceAll('~0', '~');
    return isRecord(found) && Object.hasOwn(found, key)
      ? found[key]
      : Array.isArray(found)
        ? found[Number(key)]
        : undefined;
  }, root);
}

function values(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

function isTexts(value: unknown): boolean {
  return Array.isArray(value) && value.every((entry) => typeof entry === 'string');
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
