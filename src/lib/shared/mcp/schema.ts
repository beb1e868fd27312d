import type { z } from 'zod';
import { type JsonSchema, portableSchema } from '../portable-schema.ts';

/** What a tool, a prompt, a resource, or a server of a user's own, may be called. */
export const toolNameForm = /^[A-Za-z0-9_.-]{1,128}$/;
/** Words of JSON Schema that make an input more than one object. */
export const combinators = ['oneOf', 'anyOf', 'allOf'] as const;

/** @throws TypeError when a name is not one that clients take */
export function requireName(kind: string, name: string): void {
  if (!toolNameForm.test(name)) throw new TypeError(`${kind} name "${name}": use letters, digits, "_", "-" and "."`);
}

/** The input of a tool as JSON Schema. @throws TypeError when clients could not work with it */
export function inputSchema(subject: string, schema: z.ZodType): JsonSchema {
  const { $schema: _, ...json } = jsonSchemaOf(subject, schema, 'input');
  // Anthropic's API refuses a tool whose input schema has one of these at its root.
  const combinator = combinators.find((key) => key in json);
  if (json['type'] !== 'object' || combinator !== undefined) {
    throw new TypeError(`${subject}: the input must be a z.object; check what depends on two fields in a refinement`);
  }
  return json;
}

/** Root `type: object`, which the 2025 revisions of MCP demand, also where the schema is a union of objects. */
export function outputSchema(subject: string, schema: z.ZodType): JsonSchema {
  const { $schema: _, ...json } = jsonSchemaOf(subject, schema, 'output');
  if (!isObjectSchema(json)) throw new TypeError(`${subject}: the output must be an object or a union of objects`);
  return { type: 'object', ...json };
}

function isObjectSchema(json: unknown): boolean {
  if (typeof json !== 'object' || json === null) return false;
  const schema = json as Record<string, unknown>;
  if (schema['type'] !== undefined) return schema['type'] === 'object';
  return combinators.some((key) => {
    const members = schema[key];
    return Array.isArray(members) && members.length > 0 && members.every(isObjectSchema);
  });
}

interface JsonSchemaSource {
  readonly jsonSchema?: {
    input(options: { target: string }): Record<string, unknown>;
    output(options: { target: string }): Record<string, unknown>;
  };
}

/**
 * By the Standard JSON Schema interface, so that an author's zod may be another copy than ours.
 * @throws TypeError naming what JSON can't carry, such as a z.date()
 */
export function jsonSchemaOf(subject: string, schema: z.ZodType, io: 'input' | 'output'): JsonSchema {
  const { jsonSchema } = (schema as { '~standard'?: JsonSchemaSource })['~standard'] ?? {};
  if (jsonSchema === undefined) throw new TypeError(`${subject}: schemas must be of zod 4.2 or newer`);
  try {
    return portableSchema(jsonSchema[io]({ target: 'draft-2020-12' }));
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new TypeError(`${subject}: the ${io} has no JSON Schema: ${reason}`, { cause });
  }
}
