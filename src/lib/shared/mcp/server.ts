import type { ToolHookFunction } from './hook.ts';
import type { PromptDefinition } from './prompt.ts';
import type { ResourceDefinition, ResourceTemplateDefinition } from './resource.ts';
import { requireName } from './schema.ts';
import type { ToolDefinition } from './tool.ts';

/** Whether the server can serve for now; the reason is for people, so no secrets in it. */
export type ServerReadiness = boolean | { readonly ready: boolean; readonly reason?: string };

export interface ReadyContext {
  /** Aborts after a second: an answer that takes longer counts as not ready. */
  readonly signal: AbortSignal;
  /** As in `ToolContext`. */
  readonly databaseUrl: string | undefined;
}

/** A server as `defineMcpServer` made it. Recognised by `kind`, not by class: its package may be another copy of ours. */
export interface McpServerDefinition {
  readonly kind: 'systemprompt/mcp-server';
  /** Version of this contract: 1 has tools alone. */
  readonly contract: 1 | 2;
  readonly name: string;
  readonly title: string | undefined;
  readonly version: string;
  readonly description: string;
  readonly instructions: string | undefined;
  readonly tools: readonly ToolDefinition[];
  /** Absent in contract 1, as the next two. */
  readonly prompts?: readonly PromptDefinition[] | undefined;
  /** With the pages of the tools. */
  readonly resources?: readonly ResourceDefinition[] | undefined;
  readonly resourceTemplates?: readonly ResourceTemplateDefinition[] | undefined;
  /** What looks at calls of tools, of whichever server, by name. */
  readonly hooks?: Readonly<Record<string, ToolHookFunction>> | undefined;
  /** Absent in servers that are ready whenever they run. */
  readonly ready?: ((context: ReadyContext) => ServerReadiness | Promise<ServerReadiness>) | undefined;
}

export interface McpServerOptions {
  readonly name: string;
  readonly title?: string;
  readonly version: string;
  readonly description: string;
  /** How a model should use the server; clients put it before the list of tools. */
  readonly instructions?: string;
  readonly tools?: readonly ToolDefinition[];
  readonly prompts?: readonly PromptDefinition[];
  /** The pages that tools name in `ui` need not be repeated here. */
  readonly resources?: readonly ResourceDefinition[];
  readonly resourceTemplates?: readonly ResourceTemplateDefinition[];
  /** Functions that look at calls of tools, of whichever server; a hook of the type `extension` names one. */
  readonly hooks?: Readonly<Record<string, ToolHookFunction>>;
  /**
   * Asked every two seconds. While it says no, takes longer than a second or throws, no request is routed to the server;
   * it goes on running, and requests come again when it says yes. Leave it out if running is all that it takes.
   */
  ready?(context: ReadyContext): ServerReadiness | Promise<ServerReadiness>;
}

/** Versions of the contract between a module and the process that serves it. */
export const supportedMcpContracts: readonly number[] = [1, 2];

/** @throws TypeError when a name is not usable, two things have the same name or URI, or there is nothing to serve */
export function defineMcpServer(options: McpServerOptions): McpServerDefinition {
  const { name, title, version, description, instructions } = options;
  const { tools = [], prompts = [], resourceTemplates = [] } = options;
  requireName('Server', name);
  const pages = tools.flatMap(({ ui }) => (ui === undefined ? [] : [ui]));
  const resources = [...new Set([...(options.resources ?? []), ...pages])];
  const hooks = options.hooks === undefined ? undefined : Object.freeze({ ...options.hooks });
  for (const [hook, work] of Object.entries(hooks ?? {})) {
    requireName('Hook', hook);
    if (typeof work !== 'function') throw new TypeError(`Server ${name}: the hook ${hook} is no function`);
  }
  const looks = Object.keys(hooks ?? {}).length;
  if (tools.length + prompts.length + resources.length + resourceTemplates.length + looks === 0)
    throw new TypeError(`Server ${name}: it has no tools`);
  const twice = (what: string, names: readonly string[]): void => {
    const found = names.find((one, index) => names.indexOf(one) !== index);
    if (found !== undefined) throw new TypeError(`Server ${name}: two ${what} ${found}`);
  };
  twice(
    'tools are named',
    tools.map((tool) => tool.name),
  );
  twice(
    'prompts are named',
    prompts.map((prompt) => prompt.name),
  );
  twice(
    'resources have the URI',
    resources.map(({ uri }) => uri),
  );
  twice(
    'resource templates have the URI',
    resourceTemplates.map(({ uriTemplate }) => uriTemplate),
  );
  twice(
    'resources are named',
    [...resources, ...resourceTemplates].map((resource) => resource.name),
  );
  const kind = 'systemprompt/mcp-server';
  const ready = options.ready?.bind(options);
  const about = { name, title, version, description, instructions };
  return Object.freeze({ kind, contract: 2, ...about, tools, prompts, resources, resourceTemplates, hooks, ready });
}

/** Whether a module's export is a server of a contract that is served; what is inside was checked when it was defined. */
export function isMcpServerDefinition(value: unknown): value is McpServerDefinition {
  if (typeof value !== 'object' || value === null) return false;
  const { kind, contract, tools } = value as Record<string, unknown>;
  return (
    kind === 'systemprompt/mcp-server' && supportedMcpContracts.includes(contract as number) && Array.isArray(tools)
  );
}
