import type { Paint } from '../../../lib/shared/text/paint.ts';

/** Marks up text for a terminal; without colour every function returns its text unchanged. */
export interface Style extends Paint {
  red(text: string): string;
}

// Select Graphic Rendition pairs (ECMA-48, 8.3.117): switch on, switch off.
const pairs = {
  bold: [1, 22],
  dim: [2, 22],
  red: [31, 39],
  green: [32, 39],
  yellow: [33, 39],
  cyan: [36, 39],
} as const;

type Mark = keyof typeof pairs;

const stateMarks: Readonly<Record<Extract<Mark, 'green' | 'yellow' | 'red' | 'dim'>, readonly string[]>> = {
  green: ['ready', 'ok', 'success', 'allowed', 'applied'],
  yellow: ['starting', 'stopping', 'backoff', 'warn', 'pending', 'interrupted', 'cancelled'],
  red: ['failed', 'unhealthy', 'fail', 'refused', 'tool_error', 'timeout'],
  dim: ['stopped'],
};

/** @param colour whether the stream is a terminal that wants colours */
export function style(colour: boolean): Style {
  const paint =
    (mark: Mark) =>
    (text: string): string => {
      const [on, off] = pairs[mark];
      return colour && text !== '' ? `\u001B[${on}m${text}\u001B[${off}m` : text;
    };
  return {
    bold: paint('bold'),
    dim: paint('dim'),
    red: paint('red'),
    cyan: paint('cyan'),
    diff(line) {
      if (line.startsWith('+')) return paint('green')(line);
      if (line.startsWith('-')) return paint('red')(line);
      return line.startsWith('@@') ? paint('cyan')(line) : line;
    },
    cell(text, padded) {
      const mark = stateColour(text);
      return mark === undefined ? padded : padded.replace(text, () => paint(mark)(text));
    },
  };
}

/** The mark of a word that names a state, so that a table of services can be read at a glance. */
export function stateColour(word: string): keyof typeof stateMarks | undefined {
  const marks = Object.keys(stateMarks) as (keyof typeof stateMarks)[];
  return marks.find((mark) => stateMarks[mark].includes(word));
}
