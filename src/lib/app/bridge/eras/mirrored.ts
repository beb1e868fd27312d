import { isRecord } from '../../router/jsonrpc.ts';
import type { Json } from './json.ts';

/** The parameter that `Mcp-Name` repeats (SEP-2243; tasks: SEP-2663). */
const nameOf: ReadonlyMap<string, string> = new Map([
  ['tools/call', 'name'],
  ['prompts/get', 'name'],
  ['resources/read', 'uri'],
  ['tasks/get', 'taskId'],
  ['tasks/update', 'taskId'],
  ['tasks/cancel', 'taskId'],
]);

/** An argument of a tool that is repeated in a header, as its schema declares with `x-mcp-header`. */
export interface MirroredArgument {
  readonly path: readonly string[];
  /** Without the prefix `Mcp-Param-`. */
  readonly header: string;
}

/** The headers in which a modern request repeats itself, from the body alone. */
export function mirroredHeaders(
  method: string,
  params: Json,
  mirrored: readonly MirroredArgument[] = [],
): Record<string, string> {
  const headers: Record<string, string> = { 'mcp-method': method };
  const name = params[nameOf.get(method) ?? ''];
  if (typeof name === 'string') headers['mcp-name'] = encoded(name);
  for (const { path, header } of mirrored) {
    const value = written(path.reduce<unknown>((at, key) => (isRecord(at) ? at[key] : undefined), params['arguments']));
    if (value !== undefined) headers[`mcp-param-${header.toLowerCase()}`] = encoded(value);
  }
  return headers;
}

/** A tool's arguments that are repeated in headers; none when a declaration is not one. */
export function mirroredArguments(inputSchema: unknown): readonly MirroredArgument[] {
  const found: MirroredArgument[] = [];
  const visit = (schema: unknown, path: readonly string[]): void => {
    if (!isRecord(schema) || path.length > 16) return;
    const header = schema['x-mcp-header'];
    // A token of RFC 9110 §5.6.2, of a value that has one way to be written.
    const valid = typeof header === 'string' && /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(header);
    if (valid && ['string', 'integer', 'number', 'boolean'].includes(String(schema['type'])) && path.length > 0) {
      found.push({ path, header });
    }
    if (!isRecord(schema['properties'])) return;
    for (const [name, property] of Object.entries(schema['properties'])) visit(property, [...path, name]);
  };
  visit(inputSchema, []);
  return found;
}

/**
 * Whether a tool's schema declares a header that is none: not a token, of a value that has more than one way to be written,
 * or one of two that are the same. A client must not use such a tool (MCP 2026-07-28, SEP-2243).
 */
export function declaresWrongHeader(inputSchema: unknown): boolean {
  const seen = new Set<string>();
  const wrong = (schema: unknown, depth: number): boolean => {
    if (!isRecord(schema) || depth > 16) return false;
    if (Object.hasOwn(schema, 'x-mcp-header')) {
      const header = schema['x-mcp-header'];
      if (typeof header !== 'string' || !/^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(header)) return true;
      if (!['string', 'integer', 'boolean'].includes(String(schema['type'])) || depth === 0) return true;
      if (seen.has(header.toLowerCase())) return true;
      seen.add(header.toLowerCase());
    }
    const { properties } = schema;
    return isRecord(properties) && Object.values(properties).some((property) => wrong(property, depth + 1));
  };
  return wrong(inputSchema, 0);
}

function written(value: unknown): string | undefined {
  if (typeof value === 'string') return value;
  if (typeof value === 'boolean') return String(value);
  if (typeof value !== 'number' || !Number.isFinite(value)) return undefined;
  return Number.isInteger(value) && !Number.isSafeInteger(value) ? undefined : String(value);
}

/** A value as a header can hold it: what it can't hold as it is goes as `=?base64?…?=` of UTF-8. */
function encoded(value: string): string {
  const plain = /^[\t\x20-\x7e]+$/.test(value) && value === value.trim() && !/^=\?base64\?.*\?=$/.test(value);
  return plain ? value : `=?base64?${Buffer.from(value, 'utf8').toString('base64')}?=`;
}
