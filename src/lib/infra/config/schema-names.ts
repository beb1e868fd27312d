import { z } from 'zod';
import type { YamlPath } from './yaml-document.ts';

type JsonSchema = z.core.JSONSchema.BaseSchema;

/** The names of the fields that a schema knows in the map at a path; of a union, those of all its alternatives. */
export function knownNames(schema: z.ZodType, path: YamlPath): string[] {
  const root = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }) as JsonSchema;
  let level = alternatives(root, root);
  for (const step of path)
    level = level.flatMap((node) => children(node, step)).flatMap((node) => alternatives(node, root));
  return [...new Set(level.flatMap((node) => Object.keys(node.properties ?? {})))];
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
