import { helpTopics } from '../../lib/shared/help-topics.ts';
import { nearest } from '../../lib/shared/nearest.ts';

/** What a command line asks for. Ids are colon separated, as in the manifest; `argv` is what the command's parser gets. */
export type Resolution =
  | { readonly kind: 'version' }
  | { readonly kind: 'help'; readonly subject: string }
  | { readonly kind: 'help-topic'; readonly name: string }
  | { readonly kind: 'command'; readonly id: string; readonly argv: readonly string[] }
  | { readonly kind: 'unknown-command'; readonly words: readonly string[]; readonly suggestions: readonly string[] }
  | { readonly kind: 'unknown-flag'; readonly flag: string; readonly subject: string };

const helpTopicNames = helpTopics.map(({ name }) => name);
const helpFlags = ['--help', '-h'];
const globalSwitches = ['--json', '--non-interactive', '--interactive', '--no-color', '--debug'];

/**
 * Finds the command that a command line names. Words are taken as long as they extend a known topic or command, so an
 * argument never turns into part of a name; global flags may stand before the command.
 */
export function resolveCommand(argv: readonly string[], ids: readonly string[]): Resolution {
  const { leading, rest: tokens } = splitLeading(argv);
  if (leading.includes('--version')) return { kind: 'version' };
  const asksHelp = tokens[0] === 'help' && !ids.includes('help');
  const [, topic = ''] = tokens;
  if (asksHelp && helpTopicNames.includes(topic)) return { kind: 'help-topic', name: topic };
  const { words, rest } = takeWords(asksHelp ? tokens.slice(1) : tokens, ids);
  const id = words.join(':');
  const [next] = rest;
  const end = rest.indexOf('--');
  const flags = end === -1 ? rest : rest.slice(0, end);
  const help = asksHelp || [...leading, ...flags].some((token) => helpFlags.includes(token));
  if (ids.includes(id)) {
    return help ? { kind: 'help', subject: id } : { kind: 'command', id, argv: [...without(leading), ...rest] };
  }
  if (next !== undefined && !next.startsWith('-')) return unknown([...words, next], rest.slice(1), ids);
  const stray = [...leading, ...flags].find((token) => token.startsWith('-') && !isGlobal(token));
  if (stray !== undefined) return { kind: 'unknown-flag', flag: stray, subject: id };
  return { kind: 'help', subject: id };
}

function splitLeading(argv: readonly string[]): { leading: string[]; rest: readonly string[] } {
  const leading: string[] = [];
  let index = 0;
  for (let token = argv[index]; token?.startsWith('-') && token !== '--'; token = argv[index]) {
    leading.push(token);
    index += 1;
    const value = argv[index];
    if (token === '--profile' && value !== undefined) {
      leading.push(value);
      index += 1;
    }
  }
  return { leading, rest: argv.slice(index) };
}

function takeWords(tokens: readonly string[], ids: readonly string[]): { words: string[]; rest: readonly string[] } {
  const words: string[] = [];
  const known = (id: string): boolean => ids.some((other) => other === id || other.startsWith(`${id}:`));
  for (const [index, token] of tokens.entries()) {
    if (token.startsWith('-') || token === '' || !known([...words, token].join(':'))) {
      return { words, rest: tokens.slice(index) };
    }
    words.push(...token.split(':'));
  }
  return { words, rest: [] };
}

function unknown(named: readonly string[], after: readonly string[], ids: readonly string[]): Resolution {
  const plain = after.findIndex((token) => token.startsWith('-'));
  const words = [...named, ...(plain === -1 ? after : after.slice(0, plain))];
  return { kind: 'unknown-command', words: named, suggestions: suggestCommands(words, ids) };
}

/** Commands near to what was typed: by the whole line, by its first words, and by how a command's name ends. */
export function suggestCommands(words: readonly string[], ids: readonly string[]): string[] {
  const names = ids.map((id) => id.replaceAll(':', ' '));
  const found: string[] = [];
  for (let count = words.length; count > 0; count -= 1) {
    const typed = words.slice(0, count).join(' ');
    found.push(...nearest(typed, names));
    found.push(...names.filter((name) => name.endsWith(` ${typed}`)));
  }
  if (found.length === 0) {
    const [first] = words;
    const topics = [...new Set(names.map((name) => name.split(' ')[0] ?? ''))];
    const [topic] = first === undefined ? [] : nearest(first, topics, 1);
    if (topic !== undefined) found.push(...names.filter((name) => name.startsWith(`${topic} `)));
  }
  return [...new Set(found)].slice(0, 3);
}

function isGlobal(token: string): boolean {
  return globalSwitches.includes(token) || helpFlags.includes(token) || token.startsWith('--profile');
}

function without(leading: readonly string[]): string[] {
  return leading.filter((token) => !helpFlags.includes(token));
}
