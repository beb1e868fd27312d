/** Marks up text for a terminal; without colour every function returns its text unchanged. */
export interface Style {
  bold(text: string): string;
  dim(text: string): string;
  red(text: string): string;
  green(text: string): string;
  yellow(text: string): string;
  cyan(text: string): string;
}

// Select Graphic Rendition pairs (ECMA-48, 8.3.117): switch on, switch off.
const pairs = { bold: [1, 22], dim: [2, 22], red: [31, 39], green: [32, 39], yellow: [33, 39], cyan: [36, 39] } as const;

function paint(name: keyof typeof pairs, colour: boolean): (text: string) => string {
  const [on, off] = pairs[name];
  return (text) => (colour && text !== '' ? `\u001B[${on}m${text}\u001B[${off}m` : text);
}

/** @param colour whether the stream is a terminal that wants colours */
export function style(colour: boolean): Style {
  return {
    bold: paint('bold', colour),
    dim: paint('dim', colour),
    red: paint('red', colour),
    green: paint('green', colour),
    yellow: paint('yellow', colour),
    cyan: paint('cyan', colour),
  };
}

/** The colour of a word that names a state, so that a table of services can be read at a glance. */
export function stateColour(word: string): 'green' | 'yellow' | 'red' | 'dim' | undefined {
  if (['ready', 'ok', 'success', 'allowed', 'applied'].includes(word)) return 'green';
  if (['starting', 'stopping', 'backoff', 'warn', 'pending', 'interrupted', 'cancelled'].includes(word)) return 'yellow';
  if (['failed', 'unhealthy', 'fail', 'refused', 'tool_error', 'timeout', 'edited'].includes(word)) return 'red';
  return word === 'stopped' ? 'dim' : undefined;
}
