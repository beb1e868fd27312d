import type { Writable } from 'node:stream';
import type { UserSettings } from '../../lib/infra/config/user-settings.ts';
import { isSet, isTrue, type Unasked, unaskedBy } from './caller.ts';
import { invocationPrefix, isDelegated, shellWord } from './invocation.ts';

/** A stream that may be a terminal. */
export interface OutputStream extends Writable {
  readonly isTTY?: boolean;
  readonly columns?: number;
  readonly rows?: number;
}

/** The world that one run of the CLI sees; tests bring their own. */
export interface CliWorld {
  readonly argv: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  readonly cwd: string;
  /** `process.argv[1]`. */
  readonly script: string | undefined;
  readonly stdin: { readonly isTTY?: boolean };
  readonly stdout: OutputStream;
  readonly stderr: OutputStream;
}

/** What holds for the whole run, known before any command is loaded, so that every error can be shown as it should. */
export interface CliSession extends CliWorld {
  readonly json: boolean;
  readonly nonInteractive: boolean;
  /** Why nobody is asked. */
  readonly unasked: Unasked | undefined;
  readonly debug: boolean;
  readonly colour: { readonly stdout: boolean; readonly stderr: boolean };
  readonly profile: string | undefined;
  readonly delegated: boolean;
  readonly prefix: string;
  /** Columns of the terminal, 80 where there is none. */
  readonly width: number;
}

const defaultWidth = 80;

/** Columns of a terminal; one that was never given a size says 0, which is as good as nothing. */
export function columnsOf(stream: OutputStream): number {
  return stream.columns || defaultWidth;
}

/**
 * Reads the global flags and their environment equivalents; what is wrong with them the parser says later.
 * @param settings of the user; flags and environment outrank them
 */
export function openSession(world: CliWorld, settings: UserSettings = {}): CliSession {
  const { env, argv } = world;
  const end = argv.indexOf('--');
  const flags = end === -1 ? argv : argv.slice(0, end);
  const flagged = (name: string): boolean => flags.includes(name);
  const delegated = isDelegated(env);
  const format = env['SYSTEMPROMPT_OUTPUT_FORMAT'];
  const json = flagged('--json') || (isSet(format) ? format === 'json' : settings.output === 'json');
  const forced = isTrue(env['FORCE_COLOR']);
  const unwanted = settings.colours === 'never' && !forced;
  const noColour = flagged('--no-color') || isSet(env['NO_COLOR']) || env['TERM'] === 'dumb' || unwanted;
  const colourAt = (stream: OutputStream): boolean =>
    !noColour && (stream.isTTY === true || forced || settings.colours === 'always');
  const profile = profileFlag(flags);
  const unasked = unaskedBy(flags, env, { delegated, terminal: world.stdin.isTTY === true });
  return {
    ...world,
    json,
    nonInteractive: unasked !== undefined,
    unasked,
    debug: flagged('--debug') || isTrue(env['SYSTEMPROMPT_DEBUG']),
    colour: { stdout: !json && colourAt(world.stdout), stderr: colourAt(world.stderr) },
    profile: profile ?? (isSet(env['SYSTEMPROMPT_PROFILE']) ? env['SYSTEMPROMPT_PROFILE'] : undefined),
    delegated,
    prefix: invocationPrefix(env, world.script, world.cwd),
    width: columnsOf(world.stdout),
  };
}

/** A suggested command as it can be run: with the prefix, and with the profile that this run was given by flag. */
export function suggestion(session: CliSession, command: string): string {
  const words = [session.prefix, command].filter((word) => word !== '');
  const end = session.argv.indexOf('--');
  const profile = profileFlag(end === -1 ? session.argv : session.argv.slice(0, end));
  if (profile !== undefined && !command.includes('--profile')) words.push('--profile', shellWord(profile));
  return words.join(' ');
}

/** This run's own command with another cursor, to read on where its list ended. */
export function continuation(session: CliSession, cursor: string): string {
  const words: string[] = [];
  for (const [index, word] of session.argv.entries()) {
    if (word === '--cursor' || word.startsWith('--cursor=') || session.argv[index - 1] === '--cursor') continue;
    words.push(shellWord(word));
  }
  return suggestion(session, [...words, '--cursor', shellWord(cursor)].join(' '));
}

/** The value of `--profile`, as far as it is known before the parser runs. */
export function profileFlag(flags: readonly string[]): string | undefined {
  for (const [index, flag] of flags.entries()) {
    if (flag === '--profile') return flags[index + 1];
    if (flag.startsWith('--profile=')) return flag.slice('--profile='.length);
  }
  return undefined;
}
