import { constants, open } from 'node:fs/promises';
import { relative, resolve } from 'node:path';
import type { ConfigIssue } from '../../shared/errors.ts';
import { isBelow } from '../../shared/paths.ts';

/**
 * A configuration file is written by people, and long texts can be included: what is larger than this is something else.
 * Of the worst texts of this size the parser has its fill within a second.
 */
const YAML_BYTES_MAX = 128 * 1024;

/** The path as a user reads it best: relative to where they stand when it is below, else absolute. */
export function displayPath(file: string, cwd: string = process.cwd()): string {
  const absolute = resolve(cwd, file);
  return isBelow(cwd, absolute) ? relative(cwd, absolute) : absolute;
}

const READ_FAILURES: Readonly<Record<string, readonly [string, string?]>> = {
  ENOENT: ['there is no such file', 'Write it, or remove what leads to it.'],
  EACCES: ['you may not read this file', 'Give yourself read permission.'],
  EISDIR: ['is a folder, not a file', 'Rename the folder, or write a file instead.'],
  ELOOP: ['is a symbolic link that leads back to itself', 'Put a file there.'],
};

/** Reads a YAML file's text within bounds; what is not text is an issue with its place. */
export async function readYamlText(file: string): Promise<{ text: string } | { issue: ConfigIssue }> {
  const source = await readPlainText(file, YAML_BYTES_MAX);
  if ('issue' in source) return source;
  // To YAML a lone carriage return ends a line, to the parser and to most editors it doesn't.
  const lone = source.text.search(/\r(?!\n)/);
  if (lone === -1) return source;
  const message = 'holds a carriage return without a line feed';
  const hint = 'Save it with the line ends of Unix (LF).';
  return { issue: { file: displayPath(file), ...placeOf(source.text, lone), message, hint } };
}

/** As `readYamlText`, for any text. @param bytesMax what is larger is refused */
export async function readPlainText(
  file: string,
  bytesMax: number,
): Promise<{ text: string } | { issue: ConfigIssue }> {
  const at = (message: string, hint?: string, line = 1, column = 1): { issue: ConfigIssue } => ({
    issue: { file: displayPath(file), line, column, message, ...(hint === undefined ? {} : { hint }) },
  });
  try {
    // O_NONBLOCK changes nothing for a regular file, and keeps a named pipe without a writer from blocking for ever.
    const handle = await open(file, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      const stats = await handle.stat();
      if (!stats.isFile()) return at('is no regular file', 'Put a text file there.');
      if (stats.size > bytesMax) return at(...tooLarge(bytesMax));
      // One byte more than there should be, since it may have grown; then as much as there can be.
      let room = Buffer.alloc(stats.size + 1);
      let { bytesRead } = await handle.read(room, 0, room.length, 0);
      if (bytesRead === room.length) {
        room = Buffer.alloc(bytesMax + 1);
        ({ bytesRead } = await handle.read(room, 0, room.length, 0));
      }
      if (bytesRead > bytesMax) return at(...tooLarge(bytesMax));
      const checked = decode(room.subarray(0, bytesRead));
      return 'text' in checked ? checked : at(checked.message, checked.hint, checked.line, checked.column);
    } finally {
      await handle.close();
    }
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === undefined) throw error;
    const [message, hint] = READ_FAILURES[code] ?? [
      `can't be read (${code})`,
      'Look at the file and the disk that it is on.',
    ];
    return at(message, hint);
  }
}

function tooLarge(bytesMax: number): [string, string] {
  const size = bytesMax >= 1024 * 1024 ? `${bytesMax / (1024 * 1024)} MB` : `${bytesMax / 1024} kB`;
  return [`is larger than ${size}`, 'Split it: it is read whole.'];
}

interface Unreadable {
  readonly message: string;
  readonly hint: string;
  readonly line: number;
  readonly column: number;
}

const SAVE_AS_UTF8 = 'Save it as UTF-8 without a byte order mark.';

function decode(bytes: Uint8Array): { text: string } | Unreadable {
  const start = { line: 1, column: 1 };
  if (bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf) {
    return { message: 'begins with a byte order mark', hint: SAVE_AS_UTF8, ...start };
  }
  if ((bytes[0] === 0xff && bytes[1] === 0xfe) || (bytes[0] === 0xfe && bytes[1] === 0xff)) {
    return { message: 'is UTF-16, not UTF-8', hint: SAVE_AS_UTF8, ...start };
  }
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    // Decoding leniently puts U+FFFD where the first fault is.
    const lenient = new TextDecoder('utf-8').decode(bytes);
    return { message: 'is not UTF-8 text', hint: SAVE_AS_UTF8, ...placeOf(lenient, lenient.indexOf('\ufffd')) };
  }
  // YAML 1.2.2 section 5.1: of the C0 controls only tab, line feed and carriage return are printable.
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
  const control = text.search(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]/);
  if (control === -1) return { text };
  const shown = `U+${text.charCodeAt(control).toString(16).toUpperCase().padStart(4, '0')}`;
  return {
    message: `holds the control character ${shown}: this is no text`,
    hint: 'Remove it, or write it as an escape in double quotes.',
    ...placeOf(text, control),
  };
}

/** Line and column, both from 1, of an offset. */
function placeOf(text: string, offset: number): { line: number; column: number } {
  const before = text.slice(0, offset);
  return { line: before.split('\n').length, column: offset - before.lastIndexOf('\n') };
}
