import type { z } from 'zod';
import type { JsonSchema } from '../portable-schema.ts';
import type { RequestContext } from './context.ts';
import { combinators, jsonSchemaOf, requireName } from './schema.ts';

/** One message of a prompt; a text alone is one of the user's. */
export interface PromptMessage {
  readonly role: 'user' | 'assistant';
  readonly text: string;
}

/** What the handler of a prompt returns. */
export type PromptResult = string | readonly PromptMessage[];

/** What may stand where the cursor is: called with what was typed so far and with the other arguments. */
export type Completer = (
  typed: string,
  context: RequestContext,
  others: Readonly<Record<string, string>>,
) => readonly string[] | Promise<readonly string[]>;

/** An argument as clients list it. */
export interface PromptArgument {
  readonly name: string;
  readonly description?: string;
  readonly required: boolean;
}

/** A prompt as `definePrompt` made it. */
export interface PromptDefinition {
  readonly name: string;
  readonly title: string | undefined;
  readonly description: string;
  readonly argumentList: readonly PromptArgument[];
  readonly input: z.ZodType | undefined;
  readonly complete: Readonly<Record<string, Completer>>;
  readonly handler: (input: unknown, context: RequestContext) => PromptResult | Promise<PromptResult>;
}

export interface PromptOptions<Arguments extends z.ZodType> {
  readonly name: string;
  readonly title?: string;
  readonly description: string;
  /** A `z.object` whose fields take texts: MCP sends nothing else. `z.coerce.number()` reads a number. */
  readonly arguments?: Arguments;
  /** By argument: what a client offers while it is typed. */
  readonly complete?: { readonly [Name in keyof z.input<Arguments> & string]?: Completer };
  handler(input: z.output<Arguments>, context: RequestContext): PromptResult | Promise<PromptResult>;
}

/**
 * A prompt that people choose in their client.
 * @throws TypeError when clients could not work with it; the message says what to write instead
 */
export function definePrompt<Arguments extends z.ZodType = z.ZodObject>(
  options: PromptOptions<Arguments>,
): PromptDefinition {
  const { name, title, description, complete = {} } = options;
  requireName('Prompt', name);
  if (description.trim() === '')
    throw new TypeError(`Prompt ${name}: people choose by the description, it can't be empty`);
  const argumentList = options.arguments === undefined ? [] : argumentsOf(name, options.arguments);
  const unknown = Object.keys(complete).find((key) => !argumentList.some((argument) => argument.name === key));
  if (unknown !== undefined)
    throw new TypeError(`Prompt ${name}: complete names ${unknown}, which is no argument of it`);
  return Object.freeze({
    name,
    title,
    description,
    argumentList,
    input: options.arguments,
    complete: complete as Readonly<Record<string, Completer>>,
    handler: (value: unknown, context: RequestContext) => options.handler(value as z.output<Arguments>, context),
  });
}

function argumentsOf(name: string, schema: z.ZodType): PromptArgument[] {
  const subject = `Prompt ${name}`;
  const json = jsonSchemaOf(subject, schema, 'input');
  if (json['type'] !== 'object' || combinators.some((key) => key in json))
    throw new TypeError(`${subject}: the arguments must be a z.object`);
  const required = (json['required'] ?? []) as readonly string[];
  const properties = Object.entries((json['properties'] ?? {}) as Record<string, JsonSchema>);
  return properties.map(([argument, property]) => {
    if (!takesText(property) && !coerces((schema as z.ZodObject).shape?.[argument]))
      throw new TypeError(`${subject}: MCP sends ${argument} as text; write z.string(), z.enum() or a z.coerce`);
    const about = property['description'];
    return {
      name: argument,
      ...(typeof about === 'string' ? { description: about } : {}),
      required: required.includes(argument),
    };
  });
}

/** What a zod schema is made of, as far as it is asked here; of any copy of zod 4. */
interface ZodParts {
  readonly _zod?: { readonly def?: { readonly coerce?: unknown; readonly innerType?: unknown; readonly in?: unknown } };
}

/** Whether a field reads a text as something else; its JSON Schema does not tell. */
function coerces(field: unknown): boolean {
  const { coerce, innerType, in: first } = (field as ZodParts | undefined)?._zod?.def ?? {};
  return coerce === true || (innerType !== undefined && coerces(innerType)) || (first !== undefined && coerces(first));
}

/** Whether a text may be a value. */
function takesText(property: JsonSchema): boolean {
  const { type, anyOf } = property;
  if (Array.isArray(anyOf)) return anyOf.some((member: JsonSchema) => takesText(member));
  if (Array.isArray(property['enum'])) return property['enum'].some((value: unknown) => typeof value === 'string');
  if ('const' in property) return typeof property['const'] === 'string';
  return type === undefined || type === 'string';
}
