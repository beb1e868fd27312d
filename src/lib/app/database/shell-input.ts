import { endsQuoted, splitStatements } from '../../infra/database/statements.ts';

/** What somebody typed and has ended: a statement, or a command of the shell's own. */
export type ShellItem =
  | { readonly kind: 'statement'; readonly sql: string }
  | { readonly kind: 'command'; readonly name: string; readonly argument: string };

/** Gathers lines until a semicolon ends a statement; a line that begins with a backslash is a command by itself. */
export class ShellInput {
  #text = '';

  /** Whether a statement has been begun and not ended. */
  get open(): boolean {
    return splitStatements(this.#text).rest !== undefined || endsQuoted(this.#text);
  }

  add(line: string): ShellItem[] {
    const command = /^\s*\\(\S*)\s*(.*?)\s*;?\s*$/.exec(line);
    if (command !== null && !this.open)
      return [{ kind: 'command', name: command[1] ?? '', argument: command[2] ?? '' }];
    this.#text += `${line}\n`;
    const { statements, rest } = splitStatements(this.#text);
    if (rest !== undefined) this.#text = this.#text.slice(rest.start);
    else if (!endsQuoted(this.#text)) this.#text = '';
    return statements.map(({ text }) => ({ kind: 'statement', sql: text }));
  }

  /** At the end of the input: what stands there without a semicolon is a statement as well. */
  end(): ShellItem[] {
    const { rest } = splitStatements(this.#text);
    this.#text = '';
    return rest === undefined ? [] : [{ kind: 'statement', sql: rest.text }];
  }

  /** Forgets what was begun. */
  clear(): void {
    this.#text = '';
  }
}
