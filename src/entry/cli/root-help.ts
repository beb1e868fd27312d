import { helpTopics } from '../../lib/shared/help-topics.ts';
import { wrap } from '../../lib/shared/text/width.ts';

/** What the root help shows of a command or a topic. */
export interface HelpEntry {
  readonly name: string;
  readonly summary: string;
  /** Of a topic: the last words of its commands. */
  readonly commands?: readonly string[];
}

export interface PackageFacts {
  readonly version: string;
  readonly description: string;
  readonly oclif: { readonly topics?: Readonly<Record<string, { readonly description?: string }>> };
}

interface ManifestFacts {
  readonly commands: Readonly<
    Record<string, { readonly id: string; readonly summary?: string; readonly hidden?: boolean }>
  >;
}

const columns = 80;

const flags: readonly HelpEntry[] = [
  { name: '--json', summary: 'Print the result as JSON, and nothing else' },
  { name: '--non-interactive', summary: 'Never ask; fail and name the flag instead' },
  { name: '--interactive', summary: 'Ask, also in a pipeline and for an agent' },
  { name: '--profile=<name>', summary: 'Use this profile' },
  { name: '--no-color', summary: 'Print without colours' },
  { name: '--debug', summary: 'Show where an error came from' },
  { name: '--help', summary: 'Show help for a topic or a command' },
  { name: '--version', summary: 'Show the version' },
];

/**
 * The help of the program as a whole. One function serves the fast path (from the manifest's JSON, without the command
 * framework) and the live one, so that they can't differ. No line is wider than 80 columns.
 *
 * @param bold marks up a section's header
 */
export function renderRootHelp(
  facts: Pick<PackageFacts, 'description'>,
  entries: readonly HelpEntry[],
  bold: (text: string) => string,
): string {
  const width = Math.max(...[...entries, ...flags].map((entry) => entry.name.length)) + 2;
  const list = (items: readonly HelpEntry[]): string[] => items.flatMap((entry) => described(entry, width));
  return [
    ...wrap(facts.description, columns),
    '',
    bold('USAGE'),
    '  $ systemprompt <topic> <command> [arguments] [flags]',
    '',
    bold('EXAMPLES'),
    '  $ systemprompt infra services start',
    '  $ systemprompt infra services status --json',
    '  $ systemprompt plugins mcp tools systemprompt',
    '',
    bold('COMMANDS'),
    ...list(entries.filter((entry) => entry.commands === undefined)),
    '',
    bold('TOPICS'),
    ...list(entries.filter((entry) => entry.commands !== undefined)),
    '',
    bold('GLOBAL FLAGS'),
    ...list(flags),
    '',
    bold('HELP TOPICS'),
    ...list(helpTopics),
    '',
    'Learn more: systemprompt <topic> --help, systemprompt help <help topic>.',
    'All commands with arguments and flags: systemprompt commands <topic> --json',
    '',
  ].join('\n');
}

/** A topic's commands follow what it is about, on lines of their own. */
function described({ name, summary, commands = [] }: HelpEntry, width: number): string[] {
  const names = commands.length === 0 ? [] : wrap(commands.join(', '), columns - width - 4);
  const [first = '', ...rest] = [...(summary === '' ? [] : [summary]), ...names.map((line) => `  ${line}`)];
  return [`  ${name.padEnd(width)}${first}`.trimEnd(), ...rest.map((line) => `  ${''.padEnd(width)}${line}`)];
}

/** The commands without a topic by whole names, then the topics that hold commands; both sorted. */
export function helpEntries(
  commands: Iterable<{
    readonly id: string;
    readonly summary?: string | undefined;
    readonly hidden?: boolean | undefined;
  }>,
  topics: Readonly<Record<string, { readonly description?: string }>> = {},
): HelpEntry[] {
  const shown = [...commands].filter((command) => command.hidden !== true).sort((a, b) => (a.id < b.id ? -1 : 1));
  const single: HelpEntry[] = [];
  const grouped = new Map<string, string[]>();
  for (const { id, summary = '' } of shown) {
    const topic = id.slice(0, Math.max(0, id.lastIndexOf(':')));
    if (topic === '') single.push({ name: id, summary });
    else grouped.set(topic, [...(grouped.get(topic) ?? []), id.slice(topic.length + 1)]);
  }
  const groups = [...grouped].map(([topic, names]) => ({
    name: topic.replaceAll(':', ' '),
    summary: topics[topic]?.description ?? '',
    commands: names,
  }));
  return [...single, ...groups.sort((a, b) => (a.name < b.name ? -1 : 1))];
}

/** Whether headers may be bold on standard output, by the same rules as everywhere. */
function boldAt(stdout: { readonly isTTY?: boolean }, env: NodeJS.ProcessEnv): boolean {
  const plain = (env['NO_COLOR'] ?? '') !== '' || env['TERM'] === 'dumb';
  return stdout.isTTY === true && !plain;
}

/** The fast path of `bin/run.js`: prints the root help from two JSON files. */
export function printRootHelp(packageJson: PackageFacts, manifest: ManifestFacts): void {
  const bold = boldAt(process.stdout, process.env)
    ? (text: string) => `\u001B[1m${text}\u001B[22m`
    : (text: string) => text;
  const entries = helpEntries(Object.values(manifest.commands), packageJson.oclif.topics);
  process.stdout.write(renderRootHelp(packageJson, entries, bold));
}
