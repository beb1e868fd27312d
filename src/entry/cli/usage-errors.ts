import { stripVTControlCharacters } from 'node:util';
import { AppError, InternalError, UsageError } from '../../lib/shared/errors.ts';
import { nearest } from '../../lib/shared/nearest.ts';

/**
 * The parts of the parser's errors that are read here. They are told by their shape and never spread or serialised:
 * they carry the whole configuration of the program (700 kB of it).
 */
interface ParserError {
  readonly message: string;
  readonly flags?: readonly string[];
  readonly args?: readonly unknown[];
  readonly oclif?: { readonly exit?: number };
  readonly parse?: unknown;
}

/** The parts of a command's declaration that help to word an error. */
export interface KnownCommand {
  readonly id: string;
  readonly flags: readonly string[];
}

/** Any error that came out of a command, as one of ours: what the parser refuses is a USAGE error with a way out. */
export function fromThrown(thrown: unknown, command: KnownCommand | undefined): AppError {
  if (thrown instanceof AppError) return thrown;
  if (isParserError(thrown)) return usageError(thrown, command);
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return new InternalError(message === '' ? 'Failed for an unknown reason' : message, {
    hint: 'This is a fault in systemprompt; run the command with --debug to see where',
    cause: thrown,
  });
}

/** A flag that nobody knows, with the ones that look like it. */
export function unknownFlag(flag: string, command: KnownCommand): UsageError {
  const [name = flag] = flag.split('=', 1);
  const close = nearest(name.replace(/^-+/, ''), command.flags);
  const spoken = command.id.replaceAll(':', ' ');
  return new UsageError(`Unknown flag ${shorten(name)}${spoken === '' ? '' : ` for ${spoken}`}`, {
    ...(close.length > 0 ? { hint: `Did you mean ${close.map((known) => `--${known}`).join(' or ')}?` } : {}),
    next: [helpFor(command)],
  });
}

function usageError(error: ParserError, command: KnownCommand | undefined): UsageError {
  const next = command === undefined ? [] : [helpFor(command)];
  if (Array.isArray(error.flags) && typeof error.flags[0] === 'string' && command !== undefined) {
    return unknownFlag(error.flags[0], command);
  }
  const missing = missingArguments(error);
  if (missing.length > 0) {
    const what = missing.length === 1 ? 'the argument' : 'the arguments';
    return new UsageError(`Missing ${what} ${missing.join(' and ')}`, { next });
  }
  return new UsageError(shorten(tidy(error.message), 600), { next });
}

/** Names of required arguments that were not given; the parser's message lists them with their descriptions. */
function missingArguments(error: ParserError): string[] {
  return (error.args ?? []).flatMap((arg) =>
    typeof arg === 'object' && arg !== null && 'name' in arg && typeof arg.name === 'string' ? [arg.name] : [],
  );
}

function isParserError(thrown: unknown): thrown is ParserError {
  if (!(thrown instanceof Error) || ('code' in thrown && thrown.code === 'MODULE_NOT_FOUND')) return false;
  return (
    'parse' in thrown || /^Parsing --/.test(thrown.message) || ('oclif' in thrown && 'skipOclifErrorHandling' in thrown)
  );
}

/** The parser's message on one line, without its markup, its indentation and its pointer to the help. */
function tidy(message: string): string {
  return stripVTControlCharacters(message)
    .replaceAll(/See more help with --help/g, '')
    .replaceAll(/^The following errors? occurred:/gm, '')
    .replace(/^Parsing (--\S+)\s+/, '$1: ')
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '')
    .join(' ')
    .replaceAll(/\s{2,}/g, ' ');
}

function shorten(text: string, limit = 80): string {
  return text.length <= limit ? text : `${text.slice(0, limit)}…`;
}

function helpFor(command: KnownCommand): string {
  return `${command.id.replaceAll(':', ' ')} --help`.trim();
}
