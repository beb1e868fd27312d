import type { z } from 'zod';
import type { CliPort } from './cli-port.ts';
import type { ExecutionId, ServiceInstanceId, SessionId, UserId } from './ids.ts';
import { type JsonSchema, portableSchema } from './portable-schema.ts';

/** Hints for clients, as the MCP specification defines them (schema `ToolAnnotations`); they are promises, so keep them. */
export interface ToolAnnotations {
  readonly readOnlyHint?: boolean;
  readonly destructiveHint?: boolean;
  readonly idempotentHint?: boolean;
  readonly openWorldHint?: boolean;
}

/** Writes JSON lines into the service's log. Facts go into `fields`, never into the message; no secrets in either. */
export interface ToolLogger {
  debug(message: string, fields?: Readonly<Record<string, unknown>>): void;
  info(message: string, fields?: Readonly<Record<string, unknown>>): void;
  warn(message: string, fields?: Readonly<Record<string, unknown>>): void;
  error(message: string, fields?: Readonly<Record<string, unknown>>): void;
}

/** What a tool knows of the call it serves. */
export interface ToolContext {
  /** `name` is the key of the server in the configuration, `instanceId` this run of its process. */
  readonly server: { readonly name: string; readonly instanceId: ServiceInstanceId };
  readonly request: {
    /** The call's id in the audit. */
    readonly executionId: ExecutionId;
    readonly user: { readonly id: UserId; readonly name: string };
    readonly sessionId: SessionId;
    /** What the caller's credential allows; that of the server and tool in the configuration has been checked already. */
    readonly scopes: readonly string[];
  };
  readonly logger: ToolLogger;
  /** Aborts when the caller cancels or goes away, and when the server stops. */
  readonly signal: AbortSignal;
  /** Tells the caller how far it is; does nothing when the caller did not ask for it. */
  progress(done: number, total?: number, message?: string): Promise<void>;
  /** The product's own CLI; only for servers whose configuration says `delegate: true`. */
  readonly cli: CliPort | undefined;
  /** Where the server's own schema in the database is, if it has one. A secret: don't log it. */
  readonly databaseUrl: string | undefined;
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
  /** Takes what `input` let through and returns what `output` takes. */
  readonly handler: (input: unknown, context: ToolContext) => unknown;
}

/** Whether the server can serve for now; the reason is for people, so no secrets in it. */
export type ServerReadiness = boolean | { readonly ready: boolean; readonly reason?: string };

export interface ReadyContext {
  /** Aborts after a second: an answer that takes longer counts as not ready. */
  readonly signal: AbortSignal;
  /** As in {@link ToolContext}. */
  readonly databaseUrl: string | undefined;
}

/** A server as `defineMcpServer` made it. Recognised by `kind`, not by class: its package may be another copy of ours. */
export interface McpServerDefinition {
  readonly kind: 'systemprompt/mcp-server';
  /** Version of this contract. */
  readonly contract: 1;
  readonly name: string;
  readonly title: string | undefined;
  readonly version: string;
  readonly description: string;
  readonly instructions: string | undefined;
  readonly tools: readonly ToolDefinition[];
  /** Absent in servers that are ready whenever they run. */
  readonly ready?: ((context: ReadyContext) => ServerReadiness | Promise<ServerReadiness>) | undefined;
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
  handler(input: z.output<Input>, context: ToolContext): z.input<Output> | Promise<z.input<Output>>;
}

export interface McpServerOptions {
  readonly name: string;
  readonly title?: string;
  readonly version: string;
  readonly description: string;
  /** How a model should use the server; clients put it before the list of tools. */
  readonly instructions?: string;
  readonly tools: readonly ToolDefinition[];
  /**
   * Asked every two seconds. While it says no, takes longer than a second or throws, no request is routed to the server;
   * it goes on running, and requests come again when it says yes. Leave it out if running is all that it takes.
   */
  ready?(context: ReadyContext): ServerReadiness | Promise<ServerReadiness>;
}

/** Versions of the contract between a module and the process that serves it. */
export const supportedMcpContracts: readonly number[] = [1];

/** What a tool, or a server of a user's own, may be called. */
export const toolNameForm = /^[A-Za-z0-9_.-]{1,128}$/;
/** Words of JSON Schema that make an input more than one object. */
export const combinators = ['oneOf', 'anyOf', 'allOf'] as const;

/**
 * A tool of an MCP server. Its schemas are turned into JSON Schema here, once.
 * @throws TypeError when clients could not work with the tool; the message says what to write instead
 */
export function defineTool<Input extends z.ZodType, Output extends z.ZodType>(
  options: ToolOptions<Input, Output>,
): ToolDefinition {
  const { name, title, description, input, output, annotations = {} } = options;
  if (!toolNameForm.test(name)) throw new TypeError(`Tool name "${name}": use letters, digits, "_", "-" and "."`);
  if (description.trim() === '')
    throw new TypeError(`Tool ${name}: a model chooses by the description, it can't be empty`);
  return Object.freeze({
    name,
    title,
    description,
    annotations,
    inputSchema: inputSchema(name, input),
    outputSchema: outputSchema(name, output),
    input,
    output,
    handler: (value: unknown, context: ToolContext) => options.handler(value as z.output<Input>, context),
  });
}

/** @throws TypeError when a name is not usable or two tools have the same */
export function defineMcpServer(options: McpServerOptions): McpServerDefinition {
  const { name, title, version, description, instructions, tools } = options;
  if (!toolNameForm.test(name)) throw new TypeError(`Server name "${name}": use letters, digits, "_", "-" and "."`);
  if (tools.length === 0) throw new TypeError(`Server ${name}: it has no tools`);
  const names = tools.map((tool) => tool.name);
  const twice = names.find((tool, index) => names.indexOf(tool) !== index);
  if (twice !== undefined) throw new TypeError(`Server ${name}: two tools are named ${twice}`);
  const kind = 'systemprompt/mcp-server';
  const ready = options.ready?.bind(options);
  return Object.freeze({ kind, contract: 1, name, title, version, description, instructions, tools, ready });
}

/** Whether a module's export is a server of this contract; what is inside was checked when it was defined. */
export function isMcpServerDefinition(value: unknown): value is McpServerDefinition {
  if (typeof value !== 'object' || value === null) return false;
  const { kind, contract, tools } = value as Record<string, unknown>;
  return (
    kind === 'systemprompt/mcp-server' && supportedMcpContracts.includes(contract as number) && Array.isArray(tools)
  );
}

function inputSchema(tool: string, schema: z.ZodType): JsonSchema {
  const { $schema: _, ...json } = jsonSchemaOf(tool, schema, 'input');
  // Anthropic's API refuses a tool whose input schema has one of these at its root.
  const combinator = combinators.find((key) => key in json);
  if (json['type'] !== 'object' || combinator !== undefined) {
    throw new TypeError(`Tool ${tool}: the input must be a z.object; check what depends on two fields in a refinement`);
  }
  return json;
}

/** Root `type: object`, which the 2025 revisions of MCP demand, also where the schema is a union of objects. */
function outputSchema(tool: string, schema: z.ZodType): JsonSchema {
  const { $schema: _, ...json } = jsonSchemaOf(tool, schema, 'output');
  if (!isObjectSchema(json)) throw new TypeError(`Tool ${tool}: the output must be an object or a union of objects`);
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

/** By the Standard JSON Schema interface, so that an author's zod may be another copy than ours. */
function jsonSchemaOf(tool: string, schema: z.ZodType, io: 'input' | 'output'): JsonSchema {
  const { jsonSchema } = (schema as { '~standard'?: JsonSchemaSource })['~standard'] ?? {};
  if (jsonSchema === undefined) throw new TypeError(`Tool ${tool}: schemas must be of zod 4.2 or newer`);
  return portableSchema(jsonSchema[io]({ target: 'draft-2020-12' }));
}
