import type { Artifact } from './artifact.ts';
import type { CommandDeclaration } from './command.ts';

/** One argument or flag of a command, as its manifest says. */
export interface CliArgument {
  readonly name: string;
  readonly description?: string;
  readonly required: boolean;
  readonly options?: readonly string[];
  readonly default?: string | number | boolean;
  /** May be given several times. */
  readonly multiple?: boolean;
}

export interface CliFlag extends CliArgument {
  /** A `boolean` flag stands alone, an `option` takes a value. */
  readonly type: 'boolean' | 'option';
  /** The variable of the environment that says the same. */
  readonly env?: string;
  /** One letter, used as `-y`. */
  readonly char?: string;
  /** May be given several times. */
  readonly multiple: boolean;
  /** Taken by every command: output, profile and the like. */
  readonly global: boolean;
}

export interface CliCommand {
  /** As it is typed: `infra services status`. */
  readonly name: string;
  readonly summary: string;
  readonly description?: string;
  /** Whole command lines, as they can be run. */
  readonly examples?: readonly string[];
  readonly args: readonly CliArgument[];
  readonly flags: readonly CliFlag[];
  readonly declaration: CommandDeclaration;
}

export interface CliManifest {
  readonly version: string;
  readonly commands: readonly CliCommand[];
  /** What the words before a command's last one stand for, by name: `infra services`. */
  readonly topics: Readonly<Record<string, string>>;
  /** Pages of help that are not about a command: `help <name>`. */
  readonly helpTopics: readonly { readonly name: string; readonly summary: string }[];
}

/** What a command that failed says of itself: the `error` of the CLI's JSON envelope. */
export interface CliFailure {
  readonly code: string;
  readonly message: string;
  readonly hint?: string;
  /** Command lines that help, as the tool takes them. */
  readonly next: readonly string[];
}

/** How a command ended. `exitCode` is null when a signal ended it. */
export type CliResult =
  | { readonly ok: true; readonly exitCode: number; readonly artifact: Artifact; readonly lines: readonly unknown[] }
  | { readonly ok: false; readonly exitCode: number | null; readonly failure: CliFailure };

export interface CliRunOptions {
  /** When it aborts, the command's whole process group is ended. */
  readonly signal: AbortSignal;
  /** In milliseconds; the group is ended then too. */
  readonly timeoutMs: number;
}

/** The product's own CLI, run for the caller of the tool and with that caller's rights only. */
export interface CliPort {
  manifest(): Promise<CliManifest>;
  /** Runs one command line, given word by word without the program's name. Rejects only for a fault of ours. */
  run(args: readonly string[], options: CliRunOptions): Promise<CliResult>;
}
