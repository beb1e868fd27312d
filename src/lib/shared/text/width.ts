import { stripVTControlCharacters } from 'node:util';

// Two columns wide: East Asian Wide and Fullwidth blocks (Unicode UAX #11) and the emoji planes; zero: combining marks.
const wide =
  /[\u1100-\u115F\u2E80-\u303E\u3041-\uA4CF\uAC00-\uD7A3\uF900-\uFAFF\uFE30-\uFE6F\uFF00-\uFF60\uFFE0-\uFFE6\u{1F300}-\u{1FAFF}\u{20000}-\u{3FFFD}]/u;
const zero = /\p{Mn}|\p{Me}|[\u200B-\u200D]|\uFE0F/u;
const plain = /^[\u0020-\u007E]*$/;

/** How many columns of a terminal the text takes. */
export function displayWidth(text: string): number {
  if (plain.test(text)) return text.length;
  let width = 0;
  for (const character of stripVTControlCharacters(text)) {
    width += zero.test(character) ? 0 : wide.test(character) ? 2 : 1;
  }
  return width;
}

/** The text on one line of at most `width` columns; what is cut off is marked by an ellipsis. */
export function truncate(text: string, width: number): string {
  if (displayWidth(text) <= width) return text;
  let kept = '';
  let used = 0;
  for (const character of text) {
    const columns = displayWidth(character);
    if (used + columns > width - 1) break;
    kept += character;
    used += columns;
  }
  return width <= 0 ? '' : `${kept}…`;
}

/**
 * Breaks text at spaces so that no line is wider than `width`. Lines that begin with a space are left alone: they are
 * commands and code, which must stay whole to be copied; so does a single word that is longer than the line.
 */
export function wrap(text: string, width: number): string[] {
  return text.split('\n').flatMap((line) => (line.startsWith(' ') ? [line] : wrapLine(line, width)));
}

function wrapLine(line: string, width: number): string[] {
  if (displayWidth(line) <= width) return [line];
  const lines: string[] = [];
  let current = '';
  for (const word of line.trim().split(/\s+/)) {
    const joined = current === '' ? word : `${current} ${word}`;
    if (displayWidth(joined) <= width || current === '') {
      current = joined;
    } else {
      lines.push(current);
      current = word;
    }
  }
  lines.push(current);
  return lines;
}

/** Fills up with spaces to `width` columns. */
export function pad(text: string, width: number, side: 'left' | 'right' = 'right'): string {
  const space = ' '.repeat(Math.max(0, width - displayWidth(text)));
  return side === 'right' ? text + space : space + text;
}

/**
 * Text from elsewhere (a log line, a tool's answer) made harmless for a terminal: escape sequences and control characters
 * other than tab and newline are taken out, so that it can neither move the cursor nor set the window's title.
 */
export function harmless(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is taken out
  return stripVTControlCharacters(text).replaceAll(/[\u0000-\u0008\u000B-\u001F\u007F-\u009F]/g, '');
}
