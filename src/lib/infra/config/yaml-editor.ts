import { type Document, isCollection, isMap, isSeq, type Node, parseDocument } from 'yaml';
import { ConfigInvalidError, type ConfigIssue, UsageError } from '../../shared/errors.ts';
import { quoted } from './quoted.ts';
import {
  type Collection,
  columnOf,
  endOf,
  endOfComments,
  habitsOf,
  hasNotes,
  isBlock,
  isEmpty,
  isLeftOut,
  lineEnd,
  lineStart,
  obstacleIn,
  obstacleOn,
  type Slot,
  slotAt,
  slotOf,
  startOf,
} from './yaml-cursor.ts';
import { type ParseOptions, textIncludeTags, type YamlPath } from './yaml-document.ts';
import { dottedPath } from './yaml-path.ts';
import { renderFlow, renderFlowPair, renderItem, renderPair, renderValue } from './yaml-render.ts';

interface Splice {
  readonly from: number;
  readonly to: number;
  readonly text: string;
}

/** One edit of one text that is sound YAML. What comes of it has to be read again. */
export class YamlEditor {
  readonly #text: string;
  readonly #file: string;
  readonly #document: Document.Parsed;

  constructor(text: string, file: string, options: ParseOptions) {
    this.#text = text;
    this.#file = file;
    this.#document = parseDocument(text, {
      keepSourceTokens: true,
      stringKeys: true,
      uniqueKeys: false,
      ...textIncludeTags(options),
    });
  }

  set(path: YamlPath, value: unknown): string {
    const { slots, node } = this.#walk(path);
    const rest = path.slice(slots.length);
    const last = slots.at(-1);
    if (rest.length === 0) return last === undefined ? this.#newRoot(value) : this.#replace(last, value, path);
    if (isEmpty(node))
      return last === undefined ? this.#newRoot(nest(rest, value)) : this.#replace(last, nest(rest, value), path);
    const [step = '', ...deeper] = rest;
    const inner = nest(deeper, value);
    if (isMap(node)) return this.#addPair(node as Collection, String(step), inner);
    if (isSeq(node) && String(step) === String(node.items.length)) return this.#addItem(node as Collection, inner);
    const where = quoted(dottedPath(path.slice(0, slots.length)));
    if (isSeq(node)) {
      throw new UsageError(`${where} is a list of ${node.items.length} in ${this.#file}.`, {
        hint: `Name an entry by its number: 0 is the first, ${node.items.length} adds one.`,
      });
    }
    throw new UsageError(`${where} is a plain value in ${this.#file}: nothing can be set in it.`);
  }

  unset(path: YamlPath): string {
    const { slots } = this.#walk(path);
    let at = slots.length - 1;
    const last = slots[at];
    if (last === undefined) throw new UsageError("The whole file can't be unset.");
    this.#refuse(obstacleIn(last.node), last.node, path);
    // What is left empty goes as well, as far as nobody has written a comment into it.
    for (let slot = slots[at]; slot !== undefined; slot = slots[at]) {
      const holder = slots[at - 1];
      if (slot.parent.items.length > 1) return this.#remove(slot);
      if (holder === undefined) return this.#empty(undefined, slot);
      if (!isMap(slot.parent) || !isMap(holder.parent) || obstacleOn(holder.node) || this.#hasComments(holder, slot))
        return this.#empty(holder, slot);
      at -= 1;
    }
    return this.#text;
  }

  /** The slots on the way to a path, as far as it is there, and the value in the last of them. */
  #walk(path: YamlPath): { readonly slots: Slot[]; readonly node: Node | null } {
    const slots: Slot[] = [];
    let node = this.#document.contents as Node | null;
    for (const step of path) {
      this.#refuse(obstacleOn(node), node, path.slice(0, slots.length));
      if (!isMap(node) && !isSeq(node)) break;
      const slot = slotOf(node as Collection, step);
      if (slot === undefined) break;
      slots.push(slot);
      node = slot.node;
    }
    return { slots, node };
  }

  #refuse(obstacle: string | undefined, node: Node | null, path: YamlPath): void {
    if (obstacle === undefined) return;
    const before = this.#text.slice(0, startOf(node)).split('\n');
    const place = { line: before.length, column: (before.at(-1) ?? '').length + 1 };
    const name = path.length === 0 ? 'the file' : quoted(dottedPath(path));
    const issue: ConfigIssue = {
      file: this.#file,
      ...place,
      message: `${name} can't be edited by a command: ${obstacle} is in the way`,
      hint: 'Edit it by hand, or write the value out first.',
    };
    throw new ConfigInvalidError([issue]);
  }

  #splice(...splices: readonly Splice[]): string {
    // From the end on; of two at one place the later one is put in first, so that it ends up behind.
    return splices
      .toReversed()
      .toSorted((a, b) => b.from - a.from)
      .reduce((text, { from, to, text: piece }) => text.slice(0, from) + piece + text.slice(to), this.#text);
  }

  /** Lines below a line, indented: a splice at the end of it. */
  #below(lines: readonly string[], column: number): string {
    const { newline } = habitsOf(this.#document, this.#text);
    const pad = ' '.repeat(column);
    return lines.map((line) => `${newline}${line === '' ? '' : pad + line}`).join('');
  }

  #newRoot(value: unknown): string {
    const text = this.#text;
    const habits = habitsOf(this.#document, text);
    const root = this.#document.contents as Node | null;
    this.#refuse(obstacleIn(root), root, []);
    const lines =
      isPlainMap(value) && Object.keys(value).length > 0
        ? Object.entries(value).flatMap(([key, entry]) => renderPair(key, entry, habits))
        : [renderFlow(value, null)];
    const body = lines.join(habits.newline);
    if (root === null || isLeftOut(root)) {
      const gap = text === '' || text.endsWith('\n') ? '' : habits.newline;
      return `${text}${gap}${body}${habits.newline}`;
    }
    const [from, end] = root.range ?? [0, 0];
    return this.#splice({ from, to: from + text.slice(from, end).trimEnd().length, text: body });
  }

  #replace(slot: Slot, value: unknown, path: YamlPath): string {
    const text = this.#text;
    const { node, after } = slot;
    if (node !== null) this.#refuse(isLeftOut(node) ? obstacleOn(node) : obstacleIn(node), node, path);
    if (slot.parent.flow === true) return this.#replaceInFlow(slot, value);
    const end = endOf(slot, text);
    if (after === undefined) return this.#splice({ from: end, to: end, text: ': null' });
    const { head, tail } = renderValue(value, isSeq(slot.parent), node, habitsOf(this.#document, text));
    const below = this.#below(tail, columnOf(text, slot.start));
    if (isBlock(node)) return this.#replaceBlock(node, { after, end, head, below });
    const eol = lineEnd(text, end);
    // The spaces before the value, should they align it with others, stay; so does a comment behind it.
    const from = isLeftOut(node) ? after : startOf(node);
    const gap = text.slice(after, from);
    const aligned = gap.trim() === '' && gap !== '' && !gap.includes('\n') && head !== '';
    const to = isLeftOut(node) ? after : end;
    return this.#splice(
      { from: after, to, text: aligned ? `${gap}${head.trimStart()}` : head },
      { from: eol, to: eol, text: below },
    );
  }

  #replaceInFlow(slot: Slot, value: unknown): string {
    const text = this.#text;
    const { node, after } = slot;
    const flow = renderFlow(value, node);
    const end = endOf(slot, text);
    if (!isLeftOut(node)) return this.#splice({ from: startOf(node), to: end, text: flow });
    if (after === undefined) return this.#splice({ from: end, to: end, text: `: ${flow}` });
    const spaces = /^ +(?=,)/.exec(text.slice(end, end + 80))?.[0].length ?? 0;
    return this.#splice({ from: end, to: end + spaces, text: ` ${flow}` });
  }

  #replaceBlock(
    node: Node | null,
    {
      after,
      end,
      head,
      below,
    }: { readonly after: number; readonly end: number; readonly head: string; readonly below: string },
  ): string {
    const text = this.#text;
    const eol = lineEnd(text, after);
    // What was noted behind the last line goes with it.
    const rest = { from: eol, to: Math.max(eol, isCollection(node) ? lineEnd(text, end) : end), text: below };
    if (!isCollection(node)) {
      const header = /^[|>][-+0-9]*/.exec(text.slice(startOf(node), startOf(node) + 8))?.[0].length ?? 0;
      return this.#splice({ from: after, to: startOf(node) + header, text: head }, rest);
    }
    if (slotAt(node as Collection, 0).start > eol) return this.#splice({ from: after, to: after, text: head }, rest);
    return this.#splice({ from: after, to: lineEnd(text, end), text: `${head}${below}` });
  }

  #addPair(map: Collection, key: string, value: unknown): string {
    const habits = habitsOf(this.#document, this.#text);
    if (map.flow === true) {
      if (map === this.#document.contents && map.items.length === 0) return this.#newRoot({ [key]: value });
      return this.#addToFlow(map, renderFlowPair(key, value), ' ');
    }
    return this.#addLines(map, renderPair(key, value, habits));
  }

  #addItem(list: Collection, value: unknown): string {
    if (list.flow === true) return this.#addToFlow(list, renderFlow(value, null), '');
    return this.#addLines(list, renderItem(value, habitsOf(this.#document, this.#text)));
  }

  #addLines(parent: Collection, lines: readonly string[]): string {
    const text = this.#text;
    const column = columnOf(text, slotAt(parent, 0).start);
    const end = endOf(slotAt(parent, parent.items.length - 1), text);
    const from = endOfComments(text, end, column);
    return this.#splice({ from, to: from, text: this.#below(lines, column) });
  }

  #addToFlow(parent: Collection, piece: string, padding: string): string {
    const last = parent.items.length - 1;
    if (last < 0) {
      const [from, to] = parent.range;
      const [open, close] = isMap(parent) ? '{}' : '[]';
      return this.#splice({ from, to, text: `${open}${padding}${piece}${padding}${close}` });
    }
    const from = endOf(slotAt(parent, last), this.#text);
    return this.#splice({ from, to: from, text: `, ${piece}` });
  }

  #remove(slot: Slot): string {
    const text = this.#text;
    const { parent, index, start } = slot;
    if (parent.flow === true) return this.#removeFromFlow(slot);
    const end = endOf(slot, text);
    const line = lineStart(text, start);
    if (text.slice(line, start).trim() !== '') {
      const next = slotAt(parent, index + 1).start;
      const between = text.slice(end, next);
      return this.#splice({ from: start, to: between.includes('#') ? lineEnd(text, end) : next, text: '' });
    }
    return this.#removeLines(line, end);
  }

  #removeFromFlow(slot: Slot): string {
    const text = this.#text;
    const { parent, index, start } = slot;
    const end = endOf(slot, text);
    if (index < parent.items.length - 1) {
      const next = slotAt(parent, index + 1).start;
      const comma = text.indexOf(',', end) + 1;
      return this.#splice({ from: start, to: text.slice(comma, next).includes('#') ? comma : next, text: '' });
    }
    const before = endOf(slotAt(parent, index - 1), text);
    const gap = text.slice(before, start);
    if (!gap.includes('#')) return this.#splice({ from: before, to: end, text: '' });
    // A comment between the two is about the one before.
    const comma = before + gap.indexOf(',');
    return this.#splice({ from: comma, to: comma + 1, text: '' }, { from: start, to: end, text: '' });
  }

  /** Lines from the beginning of one to the end of another, with one line break. */
  #removeLines(from: number, end: number): string {
    const text = this.#text;
    const eol = text.indexOf('\n', end);
    if (eol !== -1) return this.#splice({ from, to: eol + 1, text: '' });
    const cut = text.slice(0, from).replace(/\r?\n$/, '').length;
    return this.#splice({ from: cut, to: text.length, text: '' });
  }

  /** Takes the only entry out of a map or list: `{}` or `[]` is left. */
  #empty(holder: Slot | undefined, slot: Slot): string {
    const text = this.#text;
    const { parent } = slot;
    const nothing = isMap(parent) ? '{}' : '[]';
    if (parent.flow === true) {
      const [from, to] = parent.range;
      return this.#splice({ from, to, text: nothing });
    }
    const end = endOf(slot, text);
    const line = lineStart(text, slot.start);
    if (holder?.after !== undefined && line > holder.after) {
      const removed = this.#removeLines(line, end);
      return `${removed.slice(0, holder.after)} ${nothing}${removed.slice(holder.after)}`;
    }
    return this.#splice({ from: slot.start, to: lineEnd(text, end), text: nothing });
  }

  #hasComments(holder: Slot, slot: Slot): boolean {
    const text = this.#text;
    if (slot.parent.flow === true) return hasNotes(slot.parent);
    const end = endOf(slot, text);
    if (text.slice(holder.after ?? holder.start, lineStart(text, slot.start)).includes('#')) return true;
    return endOfComments(text, end, Math.max(columnOf(text, slot.start), 1)) > lineEnd(text, end);
  }
}

function nest(path: YamlPath, value: unknown): unknown {
  return path.reduceRight<unknown>((inner, step) => {
    if (typeof step === 'string') return { [step]: inner };
    if (step === 0) return [inner];
    throw new UsageError('A list that is not there begins with entry 0.');
  }, value);
}

export function isPlainMap(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
