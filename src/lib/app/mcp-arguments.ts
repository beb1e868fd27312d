import { UsageError } from '../shared/errors.ts';

/** One argument as it was given: `name=text`. */
export type GivenArgument = readonly [name: string, text: string];

/**
 * Arguments given as text, by the types of the tool's schema: a string stays as it is, everything else is JSON. What is a
 * list may be given element by element.
 *
 * @param properties of the tool's input schema
 * @param tool for the error
 * @throws UsageError for what is not of the type, or given twice and no list
 */
export function typedArguments(
  given: readonly GivenArgument[],
  properties: Readonly<Record<string, unknown>>,
  { server, tool }: { readonly server: string; readonly tool: string },
): Record<string, unknown> {
  const texts = new Map<string, string[]>();
  for (const [name, text] of given) texts.set(name, [...(texts.get(name) ?? []), text]);
  const wrong = (message: string, hint: string, cause?: unknown) =>
    new UsageError(message, { hint, next: [`plugins mcp tools ${server}`], ...(cause === undefined ? {} : { cause }) });
  const one = (name: string, text: string, types: readonly string[]): unknown => {
    if (types.length === 1 && types[0] === 'string') return text;
    try {
      const value: unknown = JSON.parse(text);
      if (types.length === 0 || types.some((type) => isOf(value, type))) return value;
    } catch (cause) {
      if (types.length > 0 && !types.includes('string')) throw notOfType(name, types, cause);
    }
    if (types.length === 0 || types.includes('string')) return text;
    throw notOfType(name, types);
  };
  const notOfType = (name: string, types: readonly string[], cause?: unknown) =>
    wrong(
      `The argument ${name} of ${tool} must be JSON (${types.join(' or ')})`,
      `Write it as --arg '${name}=<JSON>', or give all arguments by --args`,
      cause,
    );
  const valueGiven = (name: string, all: readonly string[]): unknown => {
    const schema = properties[name];
    const types = typesOf(schema);
    const [text = ''] = all;
    if (!types.includes('array')) {
      if (all.length === 1) return one(name, text, types);
      throw wrong(`The argument ${name} of ${tool} is given ${all.length} times and is no list`, 'Give it once');
    }
    if (all.length === 1) {
      const whole = parsed(text);
      if (Array.isArray(whole)) return whole;
    }
    const items = typesOf(itemsOf(schema));
    // A single text that is meant as JSON and is none is a mistake, no element.
    if (all.length === 1 && (items.length === 0 || text.startsWith('['))) return one(name, text, types);
    return all.map((element) => one(name, element, items));
  };
  return Object.fromEntries([...texts].map(([name, all]) => [name, valueGiven(name, all)]));
}

/** The types that a schema admits, as far as it says so itself; none where it does not. */
function typesOf(schema: unknown): string[] {
  if (typeof schema !== 'object' || schema === null) return [];
  const { type, anyOf, oneOf } = schema as Readonly<Record<string, unknown>>;
  if (typeof type === 'string') return [type];
  if (Array.isArray(type)) return type.filter((word) => typeof word === 'string');
  const choices = Array.isArray(anyOf) ? anyOf : Array.isArray(oneOf) ? oneOf : [];
  const each = choices.map(typesOf);
  return each.some((types) => types.length === 0) ? [] : [...new Set(each.flat())];
}

function itemsOf(schema: unknown): unknown {
  return typeof schema === 'object' && schema !== null && 'items' in schema ? schema.items : undefined;
}

function isOf(value: unknown, type: string): boolean {
  if (type === 'integer') return Number.isInteger(value);
  if (type === 'null') return value === null;
  if (type === 'array') return Array.isArray(value);
  if (type === 'object') return typeof value === 'object' && value !== null && !Array.isArray(value);
  return typeof value === type && type !== 'string';
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // no JSON: it is read as an element
  }
}
