import { Document, isScalar, type Node, Scalar, visit } from 'yaml';
import type { Habits } from './yaml-cursor.ts';

/** A value as text after its `:` or `-`: what stands on that line, and the lines below, indented from column 0. */
export interface Rendered {
  readonly head: string;
  readonly tail: readonly string[];
}

/** A pair in block style. */
export function renderPair(key: string, value: unknown, habits: Habits): string[] {
  return lines({ [key]: value }, habits);
}

/** A list item in block style, its dash included. */
export function renderItem(value: unknown, habits: Habits): string[] {
  return lines([value], habits);
}

/**
 * What follows the sign of a pair or an item in block style.
 * @param old what stood there: text keeps its quotes
 */
export function renderValue(value: unknown, inList: boolean, old: Node | null, habits: Habits): Rendered {
  const styled = likeBefore(value, old);
  const [first = '', ...tail] = lines(inList ? [styled] : { k: styled }, habits);
  return { head: first.slice(inList ? 1 : 2), tail };
}

/** A value between brackets, on one line. */
export function renderFlow(value: unknown, old: Node | null): string {
  return flow([likeBefore(value, old)]);
}

/** A pair between brackets, on one line. */
export function renderFlowPair(key: string, value: unknown): string {
  return flow({ [key]: value });
}

function lines(value: unknown, { indent, indentSeq }: Habits): string[] {
  const document = new Document(value, { aliasDuplicateObjects: false });
  return document
    .toString({ ...STYLE, indent, indentSeq })
    .replace(/\n$/, '')
    .split('\n');
}

function flow(value: unknown): string {
  const document = new Document(value, { aliasDuplicateObjects: false });
  visit(document, {
    Collection(_, node) {
      node.flow = true;
    },
    Scalar(_, scalar) {
      // The library would break plain text where it breaks.
      if (typeof scalar.value === 'string' && scalar.value.includes('\n')) scalar.type = 'QUOTE_DOUBLE';
    },
  });
  return document.toString(STYLE).trim().slice(1, -1).trim();
}

// One value is one line, however long: only what is asked for changes.
const STYLE = { lineWidth: 0, minContentWidth: 0, doubleQuotedMinMultiLineLength: Number.MAX_SAFE_INTEGER } as const;

function likeBefore(value: unknown, old: Node | null): unknown {
  if (typeof value !== 'string' || !isScalar(old) || typeof old.value !== 'string') return value;
  if (old.type !== 'QUOTE_DOUBLE' && old.type !== 'QUOTE_SINGLE') return value;
  const scalar = new Scalar(value);
  scalar.type = old.type;
  return scalar;
}
