import { readFile } from 'node:fs/promises';
import { createInterface, type Interface } from 'node:readline';
import { ShellInput, type ShellItem } from '../../../lib/app/database/shell-input.ts';
import { writeFileAtomic } from '../../../lib/infra/config/atomic-file.ts';
import type { Artifact } from '../../../lib/shared/artifact.ts';
import { toAppError } from '../../../lib/shared/errors.ts';
import type { Output } from '../output/output.ts';

/** Runs one thing that was typed. @returns what to show; nothing for the end */
export type RunItem = (item: ShellItem, signal?: AbortSignal) => Promise<Artifact | undefined>;

const historyLines = 500;

/** Statements from a pipe or a file, as they come, until the first that fails. @returns how many were run @throws its error */
export async function runPiped(input: AsyncIterable<string>, output: Output, run: RunItem): Promise<number> {
  const pending = new ShellInput();
  let count = 0;
  const all = async (items: readonly ShellItem[]): Promise<boolean> => {
    for (const item of items) {
      const artifact = await run(item);
      if (artifact === undefined) return false;
      output.artifactLine(artifact);
      count += 1;
    }
    return true;
  };
  for await (const line of input) if (!(await all(pending.add(line)))) return count;
  await all(pending.end());
  return count;
}

/** Asks for statements at a terminal until `\q` or Ctrl-D. Ctrl-C ends a statement that runs, or forgets what was begun. */
export async function runInteractive(
  output: Output,
  run: RunItem,
  options: { readonly prompt: string; readonly historyFile: string },
): Promise<void> {
  const { stderr } = output.session;
  const input = new ShellInput();
  const lines = createInterface({
    input: process.stdin,
    output: stderr,
    terminal: true,
    history: await readHistory(options.historyFile),
    historySize: historyLines,
    removeHistoryDuplicates: true,
  });
  let history: readonly string[] | undefined;
  lines.on('history', (found) => {
    history = [...found];
  });
  let running: AbortController | undefined;
  lines.on('SIGINT', () => {
    if (running !== undefined) return running.abort();
    input.clear();
    stderr.write('\n');
    lines.write(null, { ctrl: true, name: 'u' });
    ask(lines, input, options.prompt);
  });
  const one = async (item: ShellItem): Promise<boolean> => {
    running = new AbortController();
    try {
      const artifact = await run(item, running.signal);
      if (artifact !== undefined) output.artifactLine(artifact);
      return artifact !== undefined;
    } catch (error) {
      output.failure(toAppError(error));
      return true;
    } finally {
      running = undefined;
    }
  };
  try {
    ask(lines, input, options.prompt);
    for await (const line of lines) {
      for (const item of input.add(line)) if (!(await one(item))) return;
      ask(lines, input, options.prompt);
    }
  } finally {
    lines.close();
    if (history !== undefined)
      await writeFileAtomic(options.historyFile, `${[...history].reverse().join('\n')}\n`, 0o600);
  }
}

function ask(lines: Interface, input: ShellInput, prompt: string): void {
  lines.setPrompt(input.open ? `${' '.repeat(Math.max(0, prompt.length - 3))}-> ` : prompt);
  lines.prompt();
}

/** The newest first, as readline has it; none when there is no such file. */
async function readHistory(file: string): Promise<string[]> {
  const text = await readFile(file, 'utf8').catch(() => '');
  return text
    .split('\n')
    .filter((line) => line !== '')
    .reverse();
}
