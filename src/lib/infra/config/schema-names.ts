import { z } from 'zod';
import type { YamlPath } from './yaml-document.ts';

type JsonSchema = z.core.JSONSchema.BaseSchema;

/** A file with many faults asks many times. */
const roots = new WeakMap<z.ZodType, JsonSchema>();

/** The names of the fields that a schema knows in the map at a path; of a union, those of all its alternatives. */
export function knownNames(schema: z.ZodType, path: YamlPath): string[] {
  return [...new Set(fieldsAt(schema, path).flatMap((node) => Object.keys(node.properties ?? {})))];
}

/** What a schema says of the value at a path, once for each form that it can have there; nothing of what it doesn't know. */
export function fieldsAt(schema: z.ZodType, path: YamlPath): JsonSchema[] {
  const root = roots.get(schema) ?? (z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }) as JsonSchema);
  roots.set(schema, root);
  let level = alternatives(root, root);
  for (const step of path)
    level = level.flatMap((node) => children(node, step)).flatMap((node) => alternatives(node, root));
  return level;
}

/** Help from the schema itself: the range of a number, else what the field is for. */
export function fieldHint(schema: z.ZodType, path: YamlPath): string | undefined {
  const fields = fieldsAt(schema, path);
  const ranged = fields.find(({ minimum, maximum }) => minimum !== undefined && maximum !== undefined);
  if (ranged !== undefined && Number.isSafeInteger(ranged.minimum) && Number.isSafeInteger(ranged.maximum)) {
    return `write a number from ${ranged.minimum} to ${ranged.maximum}`;
  }
  const described = fields.find(({ description }) => description !== undefined)?.description;
  if (described !== undefined) return described;
  // Of an entry of a list or map: what the whole is for.
  return path.length === 0 ? undefined : fieldHint(schema, path.slice(0, -1));
}

function isSchema(node: unknown): node is JsonSchema {
  return typeof node === 'object' && node !== null && !Array.isArray(node);
}

/** A schema without its wrapping: references followed, unions and intersections spread. */
function alternatives(node: JsonSchema, root: JsonSchema, followed: ReadonlySet<string> = new Set()): JsonSchema[] {
  const reference = node.$ref;
  if (reference !== undefined) {
    if (followed.has(reference)) return [];
    const target = reference === '#' ? root : root.$defs?.[reference.replace('#/$defs/', '')];
    return isSchema(target) ? alternatives(target, root, new Set([...followed, reference])) : [];
  }
  const inner = [...(node.anyOf ?? []), ...(node.oneOf ?? []), ...(node.allOf ?? [])].filter(isSchema);
  return [node, ...inner.flatMap((option) => alternatives(option, root, followed))];
}

function children(node: JsonSchema, step: string | number): JsonSchema[] {
  if (typeof step === 'number') {
    return [node.prefixItems?.[step], ...(Array.isArray(node.items) ? [node.items[step]] : [node.items])].filter(
      isSchema,
    );
  }
  const named = node.properties?.[step];
  return [named ?? node.additionalProperties].filter(isSchema);
}
