import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Config } from '@oclif/core/config';
import { InternalError, PreconditionError } from '../../lib/shared/errors.ts';
import type { CliOptions } from './framework.ts';
import type { Output } from './output/output.ts';

/** What a command gets as its configuration: of the framework's, only what running a command takes. */
export interface CliConfig extends Config {
  readonly output: Output;
}

/** The commands that there are, each loaded when it is run and not before. */
export interface CommandIndex {
  readonly ids: readonly string[];
  /** Names of the flags of a command. */
  flags(id: string): readonly string[];
  run(id: string, argv: readonly string[], output: Output): Promise<number>;
}

interface RunnableCommand {
  id: string;
  run(argv: string[], config: CliConfig): Promise<number>;
}

interface Manifest {
  readonly commands: Readonly<
    Record<string, { readonly flags: Readonly<Record<string, unknown>>; readonly relativePath: readonly string[] }>
  >;
}

/**
 * The commands of the built package, from its manifest. The framework's own configuration would take longer to load than
 * a command to run (it sorts by locale, looks for plugins, themes and shells); it is loaded for help only.
 */
export async function openCommandIndex(options: CliOptions): Promise<CommandIndex> {
  if (options.commands !== undefined) return await sourceIndex(options);
  const { commands } = readManifest(options.root);
  return {
    ids: Object.keys(commands),
    flags: (id) => Object.keys(commands[id]?.flags ?? {}),
    async run(id, argv, output) {
      const { relativePath } = commands[id] ?? {};
      if (relativePath === undefined) throw new InternalError(`The manifest has lost the command ${id}`);
      const module = await import(pathToFileURL(join(options.root, ...relativePath)).href);
      return await start(module.default as RunnableCommand, id, argv, output);
    },
  };
}

function readManifest(root: string): Manifest {
  try {
    return JSON.parse(readFileSync(join(root, 'oclif.manifest.json'), 'utf8')) as Manifest;
  } catch (cause) {
    throw new PreconditionError('The index of commands is missing or damaged', {
      hint: 'In the checkout, build it: npm run build. Elsewhere, install the package again.',
      cause,
    });
  }
}

async function sourceIndex(options: CliOptions): Promise<CommandIndex> {
  const { loadConfig } = await import('./framework.ts');
  const config = await loadConfig(options);
  return {
    ids: config.commandIDs,
    flags: (id) => Object.keys(config.findCommand(id)?.flags ?? {}),
    async run(id, argv, output) {
      const command = await config.findCommand(id, { must: true }).load();
      return await start(command as unknown as RunnableCommand, id, argv, output);
    },
  };
}

async function start(command: RunnableCommand, id: string, argv: readonly string[], output: Output): Promise<number> {
  command.id = id;
  const hooks = async (): Promise<object> => ({ successes: [], failures: [] });
  const config = { bin: 'systemprompt', output, runHook: hooks } as unknown as CliConfig;
  return await command.run([...argv], config);
}
