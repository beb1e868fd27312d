import { isRecord } from '../../router/jsonrpc.ts';
import type { Json } from './json.ts';

/** Keywords whose value is data, in which a member called `$ref` is no reference. */
const data: ReadonlySet<string> = new Set(['const', 'enum', 'default', 'examples']);
/** Keywords whose value maps names that the author chose to schemas. */
const named: ReadonlySet<string> = new Set([
  'properties',
  'patternProperties',
  '$defs',
  'definitions',
  'dependentSchemas',
  'dependencies',
]);

/** Whether the output of a tool needs a wrapper: up to 2025-11-25 its schema is an object's (SEP-2106). */
export function needsWrapper(outputSchema: unknown): outputSchema is Json {
  return isRecord(outputSchema) && outputSchema['type'] !== 'object';
}

/**
 * The schema of an output that is no object, as legacy clients take it: an object whose `result` is the output. The
 * official SDK wraps in the same way, so a client sees one tool whether it meets the server or us.
 */
export function wrapSchema(schema: Json): Json {
  const dialect = typeof schema['$schema'] === 'string' ? { $schema: schema['$schema'] } : {};
  const result = ownBase(schema['$id']) ? schema : moved(schema, false);
  return { ...dialect, type: 'object', properties: { result }, required: ['result'] };
}

/** References within the document, as they are one level deeper. */
function moved(node: unknown, names: boolean): unknown {
  if (Array.isArray(node)) return node.map((item) => moved(item, false));
  if (!isRecord(node)) return node;
  if (!names && ownBase(node['$id'])) return node;
  return Object.fromEntries(
    Object.entries(node).map(([key, value]) => {
      if (names) return [key, moved(value, false)];
      if ((key === '$ref' || key === '$dynamicRef') && typeof value === 'string') return [key, deeper(value)];
      return [key, data.has(key) ? value : moved(value, named.has(key))];
    }),
  );
}

function deeper(reference: string): string {
  if (reference === '#') return '#/properties/result';
  return reference.startsWith('#/') ? `#/properties/result${reference.slice(1)}` : reference;
}

/** A schema with an address of its own: what it refers to is not relative to the document. */
function ownBase(id: unknown): boolean {
  return id !== undefined && !(typeof id === 'string' && id.startsWith('#'));
}
