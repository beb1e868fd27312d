import { UsageError } from 'systemprompt';

const maxCharacters = 16_384;
const maxWords = 512;

/**
 * Splits a command line into words as a POSIX shell does (Shell Command Language, 2.2 Quoting and 2.6.5 Field
 * Splitting) and does nothing else of what a shell does: no variables, no substitution, no patterns, no operators.
 *
 * @throws UsageError when a quote is not closed or the line ends in a backslash
 */
export function splitCommandLine(line: string): string[] {
  const words: string[] = [];
  // `undefined` between words; an empty string is a word as soon as quotes began it.
  let word: string | undefined;
  let index = 0;
  while (index < line.length) {
    const piece = readPiece(line, index);
    if (piece.text !== undefined) word = (word ?? '') + piece.text;
    else if (piece.blank) {
      if (word !== undefined) words.push(word);
      word = undefined;
    }
    index = piece.end;
  }
  return word === undefined ? words : [...words, word];
}

/** What stands at a place of the line: text that belongs to a word, a blank that ends one, or nothing (a joined line). */
interface Piece {
  readonly text?: string;
  readonly blank?: boolean;
  readonly end: number;
}

function readPiece(line: string, start: number): Piece {
  const character = line.charAt(start);
  if (character === '"') return readDoubleQuoted(line, start);
  if (character === "'") {
    const end = line.indexOf("'", start + 1);
    if (end === -1) throw unclosed("'", start);
    return { text: line.slice(start + 1, end), end: end + 1 };
  }
  if (character === '\\') {
    if (start + 1 === line.length) throw new UsageError('The command ends in a backslash');
    const next = line.charAt(start + 1);
    return next === '\n' ? { end: start + 2 } : { text: next, end: start + 2 };
  }
  return /[ \t\r\n]/.test(character) ? { blank: true, end: start + 1 } : { text: character, end: start + 1 };
}

/** Inside double quotes a backslash is itself but before these, and joins lines before a newline. */
const escapable = '$`"\\';

function readDoubleQuoted(line: string, start: number): Piece {
  let text = '';
  for (let index = start + 1; index < line.length; index += 1) {
    const character = line.charAt(index);
    if (character === '"') return { text, end: index + 1 };
    const next = line.charAt(index + 1);
    if (character === '\\' && next !== '' && (escapable.includes(next) || next === '\n')) {
      if (next !== '\n') text += next;
      index += 1;
    } else {
      text += character;
    }
  }
  throw unclosed('"', start);
}

function unclosed(quote: string, index: number): UsageError {
  return new UsageError(`The quote ${quote} at character ${index + 1} is not closed`, {
    hint: 'Close it, or give the words one by one in args',
  });
}

/**
 * The words of a call: those in `args` as they are, or `command` split.
 * @throws UsageError when there are too many, or one can't be an argument of a process
 */
export function wordsOf(input: {
  readonly args?: readonly string[] | undefined;
  readonly command?: string | undefined;
}): string[] {
  const words = input.args === undefined ? splitCommandLine(input.command ?? '') : [...input.args];
  const total = words.reduce((sum, word) => sum + word.length, 0);
  if (words.length > maxWords || total > maxCharacters) {
    throw new UsageError(`A command has at most ${maxWords} words and ${maxCharacters} characters`);
  }
  if (words.some((word) => word.includes('\0'))) throw new UsageError('A word contains a NUL character');
  return words[0] === 'systemprompt' ? words.slice(1) : words;
}
