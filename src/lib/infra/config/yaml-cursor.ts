import {
  type Document,
  isAlias,
  isCollection,
  isMap,
  isNode,
  isScalar,
  isSeq,
  type Node,
  type Pair,
  type Scalar,
  visit,
  type YAMLMap,
  type YAMLSeq,
} from 'yaml';
import { keyOf } from './yaml-structure.ts';

// Where things stand in the text of a parsed file, for edits that leave every other byte as it is.

export type Collection = YAMLMap.Parsed | YAMLSeq.Parsed;

/** A value's place in the text: what holds it, and the sign (`:` or `-`) after which it stands. */
export interface Slot {
  readonly parent: Collection;
  readonly step: string | number;
  /** Index among the items of `parent`. */
  readonly index: number;
  /** Offset of the first character of the pair or list item; of a list in brackets, that of its value. */
  readonly start: number;
  /** Offset right after the `:` or `-`; undefined for what has none (an item in brackets, a name without a value). */
  readonly after: number | undefined;
  readonly node: Node | null;
}

/** The slot of a step in a map or list; undefined when it is not there. */
export function slotOf(parent: Collection, step: string | number): Slot | undefined {
  if (isMap(parent)) {
    const index = parent.items.findIndex((pair) => keyOf(pair) === String(step));
    return index === -1 ? undefined : slotAt(parent, index);
  }
  const index = /^\d{1,9}$/.test(String(step)) ? Number(step) : Number.POSITIVE_INFINITY;
  return index < parent.items.length ? slotAt(parent, index) : undefined;
}

export function slotAt(parent: Collection, index: number): Slot {
  const token = parent.srcToken as { items: { start: Sign[]; sep?: Sign[] }[] } | undefined;
  const source = token?.items[index];
  if (isMap(parent)) {
    const pair = parent.items[index] as unknown as Pair<Node, Node | null>;
    const after = source?.sep?.find(({ type }) => type === 'map-value-ind');
    const explicit = source?.start.find(({ type }) => type === 'explicit-key-ind');
    const start = explicit?.offset ?? startOf(pair.key);
    return { parent, step: keyOf(pair), index, start, after: after && after.offset + 1, node: pair.value };
  }
  const node = (parent as YAMLSeq.Parsed).items[index] as unknown as Node;
  const dash = source?.start.find(({ type }) => type === 'seq-item-ind');
  return { parent, step: index, index, start: dash?.offset ?? startOf(node), after: dash && dash.offset + 1, node };
}

interface Sign {
  readonly type: string;
  readonly offset: number;
}

export function startOf(node: Node | null): number {
  return node?.range?.[0] ?? 0;
}

/** A value that is written in one piece where it stands: no block of lines below its name. */
export function isBlock(node: Node | null): boolean {
  if (isCollection(node)) return node.flow !== true;
  return isScalar(node) && (node.type === 'BLOCK_LITERAL' || node.type === 'BLOCK_FOLDED');
}

/** Whether a value is left out or says `null`: a place for a map to begin. */
export function isEmpty(node: Node | null): boolean {
  return node === null || (isScalar(node) && node.value === null);
}

/** Offset right after the last character of a slot, without a comment or the end of the line. */
export function endOf(slot: Slot, text: string): number {
  const { node, parent } = slot;
  if (node !== null && !isLeftOut(node)) return endOfNode(node, text);
  if (slot.after !== undefined) return slot.after;
  return isMap(parent) ? ((parent.items[slot.index]?.key as Node | null)?.range?.[1] ?? slot.start) : slot.start;
}

/** A null that has no character of its own in the text. */
export function isLeftOut(node: Node | null): boolean {
  return node === null || (isScalar(node) && node.value === null && !node.source);
}

function endOfNode(node: Node, text: string): number {
  if (isBlock(node) && (isMap(node) || isSeq(node))) {
    const last = node.items.length - 1;
    if (last >= 0) return endOf(slotAt(node as Collection, last), text);
  }
  const end = node.range?.[1] ?? 0;
  if (!isBlock(node)) return end;
  const keep = /^[|>][0-9]?\+/.test(text.slice(startOf(node), startOf(node) + 3));
  // The lines that `+` keeps are part of the value; else blank lines after it are nobody's.
  if (keep) return text[end - 1] === '\n' ? end - 1 : end;
  return startOf(node) + text.slice(startOf(node), end).trimEnd().length;
}

export function lineStart(text: string, offset: number): number {
  return text.lastIndexOf('\n', offset - 1) + 1;
}

/** Offset of the end of the line, before its line break. */
export function lineEnd(text: string, offset: number): number {
  const end = text.indexOf('\n', offset);
  if (end === -1) return text.length;
  return text[end - 1] === '\r' && end > offset ? end - 1 : end;
}

export function columnOf(text: string, offset: number): number {
  return offset - lineStart(text, offset);
}

/** The end of the last of the comment lines that follow a line without a gap, indented to the column at least. */
export function endOfComments(text: string, from: number, column: number): number {
  let end = lineEnd(text, from);
  for (;;) {
    const next = /^\r?\n( *)#[^\n]*/.exec(text.slice(end, end + 4096));
    if (next === null || (next[1] ?? '').length < column) return end;
    end = lineEnd(text, end + next[0].length - 1);
  }
}

/** What keeps an edit from being one in a single place: an anchor, an alias or a tag on the node. */
export function obstacleOn(node: Node | null): string | undefined {
  if (node === null) return undefined;
  if (isAlias(node)) return `the alias \`*${node.source}\``;
  if ((node as Scalar).anchor) return `the anchor \`&${(node as Scalar).anchor}\``;
  // The parser sets a tag for what the text spells out alone.
  return node.tag === undefined ? undefined : 'a tag (`!`)';
}

/** The first anchor or tag in what would be replaced or removed; aliases may go. */
export function obstacleIn(node: Node | null): string | undefined {
  let found: string | undefined;
  if (node === null) return undefined;
  visit(node, (_, candidate) => {
    if (isNode(candidate) && !isAlias(candidate)) found = obstacleOn(candidate);
    return found === undefined ? undefined : visit.BREAK;
  });
  return found;
}

/** Whether a comment stands in what is written between brackets. */
export function hasNotes(node: Node): boolean {
  let found = false;
  visit(node, (_, candidate) => {
    found ||= isNode(candidate) && Boolean(candidate.comment || candidate.commentBefore);
    return found ? visit.BREAK : undefined;
  });
  return found;
}

/** How the file indents, so that what is added looks like the rest. */
export interface Habits {
  /** Columns of one level. */
  readonly indent: number;
  /** Whether a list stands deeper than its name. */
  readonly indentSeq: boolean;
  readonly newline: string;
}

export function habitsOf(document: Document.Parsed, text: string): Habits {
  let indent: number | undefined;
  let indentSeq: boolean | undefined;
  visit(document, {
    Pair(_, pair) {
      const { key, value } = pair as Pair<Node, Node | null>;
      if (!isCollection(value) || value.flow === true || value.items.length === 0) return undefined;
      const own = columnOf(text, startOf(key));
      const first = columnOf(text, slotAt(value as Collection, 0).start);
      if (isSeq(value)) indentSeq ??= first > own;
      else if (first > own) indent ??= first - own;
      return undefined;
    },
  });
  return { indent: indent ?? 2, indentSeq: indentSeq ?? true, newline: text.includes('\r\n') ? '\r\n' : '\n' };
}
