import { Config } from '@oclif/core/config';
import { settings } from '@oclif/core/settings';
import { AppError, InternalError, UsageError } from '../../lib/shared/errors.ts';
import { exitCodeOf } from './exit.ts';
import { Output } from './output/output.ts';
import { type Resolution, resolveCommand } from './resolve.ts';
import { type CliWorld, openSession } from './session.ts';
import { fromThrown, type KnownCommand, unknownFlag } from './usage-errors.ts';

export interface CliOptions {
  /** The package's own folder. */
  readonly root: string;
  /** Where the commands lie when they are run from source; the manifest is not used then. */
  readonly commands?: string;
}

/** The framework's configuration, carrying what commands need of this run. */
export interface CliConfig extends Config {
  output?: Output;
}

/**
 * Runs one command line and returns its exit code; whatever happens is shown here, once, and nothing is thrown. It does
 * not end the process, so tests run it in theirs.
 */
export async function main(world: CliWorld, options: CliOptions): Promise<number> {
  const session = openSession(world);
  const output = new Output(session);
  let known: KnownCommand | undefined;
  try {
    const config = await loadConfig(options);
    config.output = output;
    const resolution = resolveCommand(world.argv, config.commandIDs);
    known = knownCommand(config, resolution);
    return await follow(resolution, config, output);
  } catch (thrown) {
    const error = fromThrown(thrown, known);
    output.failure(error);
    return exitCodeOf(error);
  }
}

/** The process's own run: real streams, and an end as soon as everything is written. */
export async function runCli(options: CliOptions): Promise<void> {
  const { argv, env, stdin, stdout, stderr } = process;
  for (const stream of [stdout, stderr]) {
    // A reader that has seen enough (`| head`) is no failure of ours.
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EPIPE') process.exit(0);
      throw error;
    });
  }
  const world = { argv: argv.slice(2), env, cwd: process.cwd(), script: argv[1], stdin, stdout, stderr };
  process.once('uncaughtException', (thrown) => {
    const error = fromThrown(thrown, undefined);
    new Output(openSession(world)).failure(error);
    process.exit(exitCodeOf(error));
  });
  const code = await main(world, options);
  process.exitCode = code;
  // Results may still be on their way into a pipe; what else keeps the process alive has nothing left to do.
  stdout.write('', () => stderr.write('', () => process.exit(code)));
}

async function follow(resolution: Resolution, config: CliConfig, output: Output): Promise<number> {
  switch (resolution.kind) {
    case 'version':
      output.result({ type: 'text', content: config.userAgent });
      return 0;
    case 'help': {
      const { helpText } = await import('./help.ts');
      output.help(await helpText(config, resolution.subject, output.session));
      return 0;
    }
    case 'unknown-flag':
      throw unknownFlag(resolution.flag, { id: resolution.subject, flags: globalFlagNames });
    case 'unknown-command': {
      const typed = resolution.words.join(' ').slice(0, 80);
      const { suggestions } = resolution;
      throw new UsageError(`There is no command '${typed}'`, {
        ...(suggestions.length > 0 ? { hint: 'Did you mean one of these?' } : {}),
        next: suggestions.length > 0 ? suggestions.map((name) => `${name} --help`) : ['--help'],
      });
    }
    case 'command':
      return await runCommand(resolution.id, resolution.argv, config);
  }
}

const globalFlagNames = ['json', 'non-interactive', 'profile', 'no-color', 'debug', 'help', 'version'];

async function runCommand(id: string, argv: readonly string[], config: CliConfig): Promise<number> {
  const command = config.findCommand(id);
  if (command === undefined) throw new InternalError(`The manifest has lost the command ${id}`);
  const loaded = await command.load();
  const result: unknown = await loaded.run([...argv], config);
  return typeof result === 'number' ? result : 0;
}

function knownCommand(config: Config, resolution: Resolution): KnownCommand | undefined {
  if (resolution.kind !== 'command') return undefined;
  const command = config.findCommand(resolution.id);
  return { id: resolution.id, flags: [...Object.keys(command?.flags ?? {}), 'help'] };
}

async function loadConfig(options: CliOptions): Promise<CliConfig> {
  // Node.js strips types by itself; the framework must not look for a transpiler.
  settings.enableAutoTranspile = false;
  try {
    if (options.commands === undefined) return await Config.load({ root: options.root });
    const { readFile } = await import('node:fs/promises');
    const pjson = JSON.parse(await readFile(`${options.root}/package.json`, 'utf8'));
    pjson.oclif.commands = { strategy: 'pattern', target: options.commands, globPatterns: ['**/*.ts'] };
    return await Config.load({ root: options.root, pjson, isRoot: true, ignoreManifest: true } as never);
  } catch (cause) {
    if (cause instanceof AppError) throw cause;
    throw new InternalError('Failed to load the commands', { cause });
  }
}
