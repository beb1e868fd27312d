/** A JSON Schema, or a part of one. */
export type JsonSchema = Readonly<Record<string, unknown>>;

/**
 * The same schema in words that more clients understand: no `type` that is a list (a dialect with single types drops or
 * refuses it), no empty schema where `true` says the same, and nothing that holds for every JSON object anyway.
 */
export function portableSchema(schema: JsonSchema): JsonSchema {
  return convert(schema) as JsonSchema;
}

function convert(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(convert);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).flatMap(([key, part]): [string, unknown][] => {
    // Names of properties are strings whatever is said of them.
    if (key === 'propertyNames' && isExactly(part, { type: 'string' })) return [];
    if (key === 'additionalProperties' && isExactly(part, {})) return [[key, true]];
    // Here the keys are names of properties, not words of JSON Schema.
    if (key === 'properties' && typeof part === 'object' && part !== null) {
      return [[key, Object.fromEntries(Object.entries(part).map(([name, property]) => [name, convert(property)]))]];
    }
    // Values are what they are.
    if (['const', 'enum', 'default', 'examples'].includes(key)) return [[key, part]];
    return [[key, convert(part)]];
  });
  return splitTypes(Object.fromEntries(entries));
}

/** Only where nothing but a description stands beside the types: other words may belong to one of them. */
function splitTypes(schema: JsonSchema): JsonSchema {
  const { type, description, ...others } = schema;
  if (!Array.isArray(type) || Object.keys(others).length > 0) return schema;
  const anyOf = type.map((one: unknown) => ({ type: one }));
  return { ...(description === undefined ? {} : { description }), anyOf };
}

function isExactly(part: unknown, wanted: object): boolean {
  return JSON.stringify(part) === JSON.stringify(wanted);
}
