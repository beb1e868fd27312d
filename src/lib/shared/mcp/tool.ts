import type { z } from 'zod';
import type { JsonSchema } from '../portable-schema.ts';
import type { ToolContext } from './context.ts';
import type { UiResourceDefinition } from './resource.ts';
import { inputSchema, outputSchema, requireName } from './schema.ts';

/** Hints for clients, as the MCP specification defines them (schema `ToolAnnotations`); they are promises, so keep them. */
export interface ToolAnnotations {
  readonly readOnlyHint?: boolean;
  readonly destructiveHint?: boolean;
  readonly idempotentHint?: boolean;
  readonly openWorldHint?: boolean;
}

/** A call as it may be, with what it may return. `build mcp` holds both against the tool's schemas. */
export interface ToolExample {
  readonly title?: string;
  readonly input: unknown;
  readonly output?: unknown;
}

/** A tool as `defineTool` made it. */
export interface ToolDefinition {
  readonly name: string;
  readonly title: string | undefined;
  readonly description: string;
  readonly annotations: ToolAnnotations;
  readonly inputSchema: JsonSchema;
  readonly outputSchema: JsonSchema;
  readonly input: z.ZodType;
  readonly output: z.ZodType;
  /** The page that shows its results; absent in tools of contract 1. */
  readonly ui?: UiResourceDefinition | undefined;
  /** Absent in tools of contract 1. */
  readonly examples?: readonly ToolExample[] | undefined;
  /** Takes what `input` let through and returns what `output` takes. */
  readonly handler: (input: unknown, context: ToolContext) => unknown;
}

export interface ToolOptions<Input extends z.ZodType, Output extends z.ZodType> {
  readonly name: string;
  readonly title?: string;
  readonly description: string;
  /** An object schema. What the schema does not name is refused if it is a `z.strictObject`. */
  readonly input: Input;
  /** An artifact schema, or any other object schema. */
  readonly output: Output;
  readonly annotations?: ToolAnnotations;
  /** A page that clients with MCP Apps show instead of text: `artifactView`, or one of your own. */
  readonly ui?: UiResourceDefinition;
  /** Checked by `build mcp`. */
  readonly examples?: readonly {
    readonly title?: string;
    readonly input: z.input<Input>;
    readonly output?: z.input<Output>;
  }[];
  handler(input: z.output<Input>, context: ToolContext): z.input<Output> | Promise<z.input<Output>>;
}

/**
 * A tool of an MCP server. Its schemas are turned into JSON Schema here, once.
 * @throws TypeError when clients could not work with the tool; the message says what to write instead
 */
export function defineTool<Input extends z.ZodType, Output extends z.ZodType>(
  options: ToolOptions<Input, Output>,
): ToolDefinition {
  const { name, title, description, input, output, annotations = {}, ui, examples = [] } = options;
  requireName('Tool', name);
  if (description.trim() === '')
    throw new TypeError(`Tool ${name}: a model chooses by the description, it can't be empty`);
  return Object.freeze({
    name,
    title,
    description,
    annotations,
    inputSchema: inputSchema(`Tool ${name}`, input),
    outputSchema: outputSchema(`Tool ${name}`, output),
    input,
    output,
    ui,
    examples,
    handler: (value: unknown, context: ToolContext) => options.handler(value as z.output<Input>, context),
  });
}
