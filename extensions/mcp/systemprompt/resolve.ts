import { nearest, UsageError } from 'systemprompt';
import type { CliCommand, CliManifest } from 'systemprompt/mcp';

/** What the words of a call ask for. `words` are the command's own, without its name. */
export type Request =
  | { readonly kind: 'help'; readonly subject: readonly string[] }
  /** A page that is about no command. */
  | { readonly kind: 'help-topic'; readonly name: string }
  | { readonly kind: 'command'; readonly command: CliCommand; readonly words: readonly string[] };

/** Set by the tool itself; given by the caller they change nothing. */
const imposed = ['--json', '--non-interactive', '--interactive', '--no-color', '--debug'];
const helpFlags = ['--help', '-h'];

/**
 * Finds the command that is named, as the CLI does: words count to the name as long as they extend a known topic or
 * command. Only what is found here is run, under the name found here.
 *
 * @throws UsageError when there is no such command (with the nearest names) or a flag is not the caller's to set
 */
export function resolveRequest(given: readonly string[], manifest: CliManifest): Request {
  const end = given.indexOf('--');
  const flags = end === -1 ? given : given.slice(0, end);
  refuseProfile(flags);
  const kept = flags.filter((word) => !imposed.includes(word));
  const [first, page = ''] = kept;
  if (first === 'help' && manifest.helpTopics.some(({ name }) => name === page))
    return { kind: 'help-topic', name: page };
  const asksHelp = kept[0] === 'help' || kept.some((word) => helpFlags.includes(word));
  const [name, rest] = takeName(kept[0] === 'help' ? kept.slice(1) : kept, manifest);
  const command = manifest.commands.find((known) => known.name === name.join(' '));
  const [next] = rest;
  if (command === undefined && next !== undefined && !helpFlags.includes(next))
    throw unknown([...name, next], manifest);
  if (asksHelp || command === undefined) return { kind: 'help', subject: name };
  return { kind: 'command', command, words: end === -1 ? rest : [...rest, ...given.slice(end)] };
}

function takeName(words: readonly string[], manifest: CliManifest): [string[], readonly string[]] {
  const name: string[] = [];
  const known = (path: string): boolean =>
    manifest.commands.some((command) => command.name === path || command.name.startsWith(`${path} `));
  for (const [index, word] of words.entries()) {
    // `infra:services:status` names the same command as three words do.
    const spoken = word.split(':');
    if (word.startsWith('-') || spoken.includes('') || !known([...name, ...spoken].join(' ')))
      return [name, words.slice(index)];
    name.push(...spoken);
  }
  return [name, []];
}

function refuseProfile(flags: readonly string[]): void {
  if (!flags.some((word) => word === '--profile' || word.startsWith('--profile='))) return;
  throw new UsageError('The profile is the one of the instance that this tool belongs to; leave --profile out');
}

function unknown(words: readonly string[], manifest: CliManifest): UsageError {
  const names = manifest.commands.map((command) => command.name);
  const typed = words.join(' ');
  const last = words.at(-1) ?? '';
  const spelled = [...nearest(typed, names), ...names.filter((name) => name.endsWith(` ${last}`))];
  const siblings = names.filter((name) => name.startsWith(`${words.slice(0, -1).join(' ')} `));
  const found = [...new Set(spelled.length > 0 ? spelled : siblings)].slice(0, 3);
  return new UsageError(`There is no command '${typed.slice(0, 80)}'`, {
    hint: found.length > 0 ? `Did you mean: ${found.join(', ')}?` : "The tool 'commands' lists all that there are",
    next: found,
  });
}

/**
 * The positional arguments among the words of a command, told from flags and their values by the command's declaration.
 */
export function positionals(command: CliCommand, words: readonly string[]): string[] {
  const found: string[] = [];
  const takesValue = (word: string): boolean =>
    command.flags.some((flag) => flag.type === 'option' && (word === `--${flag.name}` || word === `-${flag.char}`));
  for (let index = 0; index < words.length; index += 1) {
    const word = words[index] ?? '';
    if (word === '--') return [...found, ...words.slice(index + 1)];
    if (takesValue(word)) index += 1;
    else if (!word.startsWith('-') || word === '-') found.push(word);
  }
  return found;
}
