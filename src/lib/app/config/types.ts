import type { AgentConfig } from '../../domain/agents/index.ts';
import type { AiConfig } from '../../domain/ai/index.ts';
import type { ContentConfig } from '../../domain/content/index.ts';
import type { McpServerConfig } from '../../domain/mcp/index.ts';
import type { PluginConfig } from '../../domain/plugins/index.ts';
import type { SchedulerConfig } from '../../domain/scheduler/index.ts';
import type { SkillConfig } from '../../domain/skills/index.ts';
import type { WebConfig } from '../../domain/web/index.ts';
import type { ExtensionsConfig, Settings } from './settings.ts';

/** Plain data, as JSON can show it. */
export type ConfigNode =
  | null
  | boolean
  | number
  | string
  | readonly ConfigNode[]
  | { readonly [key: string]: ConfigNode };

/** Keys and indexes from the root of the tree to a value in it. */
export type ConfigPath = readonly (string | number)[];

/** Where a value is written. */
export interface Origin {
  /** The path as messages show it. */
  readonly file: string;
  /** From 1. */
  readonly line: number;
  /** From 1. */
  readonly column: number;
}

/** The file that holds a value, and the value's path within that file. */
export interface SourcePath {
  /** Absolute. */
  readonly file: string;
  readonly path: ConfigPath;
}

/** All of `services/`, read, put together and checked. */
export interface ServicesConfiguration {
  readonly settings: Settings;
  /** Sorted by name, as the agents, skills and plugins are; those that are not enabled included. */
  readonly mcpServers: readonly McpServerConfig[];
  readonly agents: readonly AgentConfig[];
  readonly skills: readonly SkillConfig[];
  readonly ai: AiConfig;
  readonly content: ContentConfig;
  readonly scheduler: SchedulerConfig;
  readonly web: WebConfig;
  readonly plugins: readonly PluginConfig[];
  readonly extensions: ExtensionsConfig;
  /** Every file that was read or looked for, absolute and sorted: what a watcher watches. */
  readonly files: readonly string[];
  /** Every folder in which files are found by themselves, absolute and sorted, be they there or not. */
  readonly folders: readonly string[];
  /** The same as plain data under the names of the files (`mcp_servers`, `agents`, …), complete with defaults. */
  readonly tree: ConfigNode;
  /** Where the value at a path of the tree is written; `undefined` when no file has it: it is a default. */
  originOf(path: ConfigPath): Origin | undefined;
  /** The file that the value at a path of the tree belongs to, be it written there or a default; `undefined` when no file holds anything of its kind. */
  sourceOf(path: ConfigPath): SourcePath | undefined;
}
