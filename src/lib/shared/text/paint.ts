/** Marks up text that is shown to a person; for anything else it leaves text as it is. */
export interface Paint {
  bold(text: string): string;
  dim(text: string): string;
  cyan(text: string): string;
  /** A cell of a table: a word that names a state may get its colour. `padded` contains `text`. */
  cell(text: string, padded: string): string;
  /** A line of a unified diff. */
  diff(line: string): string;
}

const same = (text: string): string => text;

/** No marks at all: for logs, files and language models. */
export const noPaint: Paint = { bold: same, dim: same, cyan: same, cell: (_text, padded) => padded, diff: same };
