import { helpTopics } from '../../lib/shared/help-topics.ts';
import { wrap } from '../../lib/shared/text/width.ts';
import { agentMarks, type CallerMark, pipelineMarks } from './caller.ts';
import { environment } from './environment.ts';
import { exitCodeMeanings } from './exit.ts';

/** A part of a page: a paragraph, lines to be kept as they are, or a table whose columns have headers. */
type Block =
  | string
  | { readonly code: readonly string[] }
  | { readonly head: readonly string[]; readonly rows: readonly (readonly string[])[] };

const columns = 80;

/** The pages that are not about a command; docs/cli.md shows the same tables. */
const pages: Readonly<Record<string, () => readonly Block[]>> = {
  environment: () => [
    'A flag outranks the environment, which outranks the profile.',
    environmentTable(),
    'Flags of a command that have a variable name it in their help.',
  ],
  'exit-codes': () => ['The exit code is the same in text and in JSON mode.', exitCodeTable()],
  formatting: () => [
    'stdout is the result and nothing else; progress, questions and errors go to stderr. With --json the result is one line, and so is a failure:',
    {
      code: [
        '{"ok":true,"artifact":{"type":"table","columns":[],"items":[],"count":0}}',
        '{"ok":false,"error":{"code":"USAGE","message":"…","hint":"…","next":["…"]}}',
      ],
    },
    'A result is an artifact, typed data:',
    artifactTable(),
    'In tables a duration is in milliseconds, a date is ISO 8601 in UTC, and null means that there is no value. A list that goes on has next_cursor: the same command with --cursor and it reads on.',
    'A command that streams prints a JSON line for each event; the envelope is the last line. A command that did its work and found something bad gives error and artifact.',
    'Colours are used at a terminal only; NO_COLOR, TERM=dumb and --no-color switch them off. Tables are as wide as the terminal, and 80 columns in a pipe.',
  ],
  agents: () => [
    'Nothing is asked where nobody can answer: with --non-interactive, without a terminal, in a pipeline, and for an agent, also in a pseudo-terminal. A question that would have to be asked is then a failure with exit code 5 and code ANSWER_NEEDED, and names the flag that answers it. What can’t be undone needs --yes.',
    'An agent or a pipeline is known by these variables; --interactive (or --non-interactive=false, or SYSTEMPROMPT_NON_INTERACTIVE=0) asks all the same.',
    marksTable(),
    'What there is to run, with arguments, flags, defaults, effect and permission: systemprompt commands --json for the topics, systemprompt commands <topic> --json for the commands of one.',
    'A failure has next: whole commands that help and can be run as they are printed.',
  ],
};

/** A page for the terminal, at most 80 columns wide. */
export function helpTopicText(name: string, bold: (text: string) => string): string {
  const summary = helpTopics.find((topic) => topic.name === name)?.summary ?? '';
  const blocks = (pages[name]?.() ?? []).map((block) => blockLines(block, bold).join('\n'));
  return [summary, ...blocks].join('\n\n');
}

function blockLines(block: Block, bold: (text: string) => string): string[] {
  if (typeof block === 'string') return wrap(block, columns);
  if ('code' in block) return block.code.map((line) => `  ${line}`);
  const rows = [block.head.map((head) => head.toUpperCase()), ...block.rows];
  const widths = columnWidths(rows);
  return rows.flatMap((row, index) => rowLines(row, widths, index === 0 ? bold : (text) => text));
}

/** The first column is as wide as it has to be, the others share what is left. */
function columnWidths(rows: readonly (readonly string[])[]): number[] {
  const natural = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => (row[column] ?? '').length)));
  const [first = 0, ...others] = natural;
  const widths = [first];
  let left = columns - 4 - first;
  for (const [index, width] of others.entries()) {
    const after = others.length - index - 1;
    widths.push(Math.min(width, Math.floor((left - 2 * after) / (after + 1))));
    left -= (widths.at(-1) ?? 0) + 2;
  }
  return widths;
}

function rowLines(row: readonly string[], widths: readonly number[], mark: (text: string) => string): string[] {
  const cells = row.map((cell, column) => wrap(cell, widths[column] ?? columns));
  const height = Math.max(...cells.map((lines) => lines.length));
  return Array.from({ length: height }, (_, line) => {
    const parts = cells.map((lines, column) => {
      const text = lines[line] ?? '';
      return mark(text) + ' '.repeat((widths[column] ?? 0) - text.length);
    });
    return `  ${parts.join('  ')}`.trimEnd();
  });
}

/** The tables of docs/cli.md by the name of their place, in Markdown. */
export function documentedTables(): Readonly<Record<string, string>> {
  return {
    environment: markdown(environmentTable(), [0, 1]),
    'exit-codes': markdown(exitCodeTable(), [2]),
    artifacts: markdown(artifactTable(), [0, 2]),
    callers: markdown(marksTable(), [0]),
  };
}

type Table = Exclude<Block, string | { readonly code: unknown }>;

function markdown({ head, rows }: Table, literal: readonly number[]): string {
  const cell = (text: string, column: number): string => {
    const words = literal.includes(column)
      ? text.split(', ').map((word) => (word === '' ? '' : `\`${word}\``))
      : [text];
    return words.join(', ').replaceAll('|', '\\|');
  };
  return [head, head.map(() => '---'), ...rows.map((row) => row.map(cell))]
    .map((row) => `| ${row.join(' | ')} |`)
    .join('\n');
}

function environmentTable(): Table {
  return {
    head: ['variable', 'flag', 'meaning'],
    rows: environment.map(({ name, flag = '', meaning }) => [name, flag, meaning]),
  };
}

function exitCodeTable(): Table {
  return {
    head: ['code', 'means', 'error codes'],
    rows: exitCodeMeanings().map(({ code, meaning, errors }) => [code, meaning, errors.join(', ')]),
  };
}

function artifactTable(): Table {
  return {
    head: ['type', 'is', 'fields beside title'],
    rows: [
      ['text', 'a sentence or a text', 'content, data, next_cursor'],
      ['copy_paste_text', 'to be copied as it is: a token, a snippet', 'content, language, data, next_cursor'],
      ['table', 'rows', 'columns, items, count, next_cursor, empty, notes'],
      ['list', 'things with a name and a sentence', 'items, count, next_cursor, empty'],
      ['chart', 'numbers along a line', 'chart_type, labels, label_type, series, data, empty, notes'],
      ['presentation_card', 'one thing in sections', 'subtitle, sections, data'],
    ],
  };
}

function marksTable(): Table {
  const rows = new Map<string, string[]>();
  const add = ({ variable, value, name }: CallerMark): void => {
    rows.set(name, [...(rows.get(name) ?? []), value === undefined ? variable : `${variable}=${value}`]);
  };
  for (const mark of [...agentMarks, ...pipelineMarks]) add(mark);
  return { head: ['variable', 'set by'], rows: [...rows].map(([name, variables]) => [variables.join(', '), name]) };
}
