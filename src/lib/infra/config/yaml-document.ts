import {
  type Document,
  isAlias,
  isMap,
  isNode,
  isPair,
  isScalar,
  isSeq,
  LineCounter,
  type Pair,
  parseDocument,
} from 'yaml';
import type { ConfigIssue } from '../../shared/errors.ts';
import { keyOf, structureFindings } from './yaml-structure.ts';
import { type Finding, syntaxFindings } from './yaml-syntax.ts';

/** How often one anchor may be repeated in the value, so that a small file can't unfold into a huge one. */
const REPEATS_MAX = 100;

/** Keys and indexes from the root of a file to a value in it. */
export type YamlPath = readonly (string | number)[];

/** Where something stands in a file, both from 1. */
export interface Place {
  readonly line: number;
  readonly column: number;
}

/** A YAML file that was read without a fault: its value, and the place of everything in it. */
export interface YamlDocument {
  readonly value: unknown;
  has(path: YamlPath): boolean;
  /**
   * The place of the value at the path, or of its key. What is not there is placed at the innermost map or list
   * on its way that is.
   */
  locate(path: YamlPath, at?: 'key' | 'value'): Place;
}

export interface ParseOptions {
  /** Whether `!include <path>` may stand for a text; it is read as the string `!include <path>`, as if it were quoted. */
  readonly textIncludes?: boolean;
}

const includeTag = { tag: '!include', resolve: (path: string) => `!include ${path}` };

/** What the parser has to know of the tags that are allowed. */
export function textIncludeTags({ textIncludes }: ParseOptions): { customTags?: (typeof includeTag)[] } {
  return textIncludes === true ? { customTags: [includeTag] } : {};
}

/** What came of parsing: the document unless it is beyond use, and everything that is wrong with it. */
export interface ParsedDocument {
  readonly document: YamlDocument | undefined;
  readonly issues: ConfigIssue[];
}

/**
 * Parses one YAML 1.2 document. Faults of the grammar leave no document, since what is read beside them is a guess;
 * a name that is there twice does, so that the rest can be checked at once.
 */
export function parseYamlDocument(text: string, file: string, options: ParseOptions = {}): ParsedDocument {
  const counter = new LineCounter();
  const place = (offset: number): Place => {
    const { line, col } = counter.linePos(offset);
    return { line: Math.max(line, 1), column: Math.max(col, 1) };
  };
  const toIssue = ({ offset, ...finding }: Finding): ConfigIssue => ({ file, ...place(offset), ...finding });
  const { stackTraceLimit } = Error;
  try {
    // The library makes an error of each fault, and of those the stacks would take most of the time.
    Error.stackTraceLimit = 0;
    const document = parseDocument(text, {
      lineCounter: counter,
      // The pretty form quotes the source, which may hold a secret.
      prettyErrors: false,
      stringKeys: true,
      // The library compares every key with every other; ours is linear.
      uniqueKeys: false,
      logLevel: 'error',
      ...textIncludeTags(options),
    });
    const syntax = syntaxFindings(document, text).sort((a, b) => a.offset - b.offset);
    if (syntax.length > 0) return { document: undefined, issues: firstOfEachLine(syntax.map(toIssue)) };
    const { findings, usable } = structureFindings(document, (offset) => place(offset).line);
    const issues = findings.map(toIssue);
    if (!usable) return { document: undefined, issues };
    const value: unknown = document.toJS({ maxAliasCount: REPEATS_MAX });
    return { document: new LocatedDocument(document, value, place), issues };
  } catch (error) {
    return { document: undefined, issues: [toIssue(exhaustion(error, text))] };
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
}

function exhaustion(error: unknown, text: string): Finding {
  // The library throws these alone: ReferenceError beyond REPEATS_MAX, RangeError when the stack is full.
  if (error instanceof ReferenceError) {
    const offset = Math.max(text.search(/(?<=[\s[{,])\*/), 0);
    return { offset, message: 'the aliases unfold into too much', hint: 'Write the values out.' };
  }
  if (error instanceof RangeError)
    return { offset: 0, message: 'the file is nested too deeply', hint: 'Write it with fewer levels.' };
  throw error;
}

/** A fault often shows in several ways on its line; the first one says it. */
function firstOfEachLine(issues: readonly ConfigIssue[]): ConfigIssue[] {
  return issues.filter((issue, index) => issue.line !== issues[index - 1]?.line);
}

class LocatedDocument implements YamlDocument {
  readonly value: unknown;
  readonly #document: Document.Parsed;
  readonly #place: (offset: number) => Place;

  constructor(document: Document.Parsed, value: unknown, place: (offset: number) => Place) {
    this.#document = document;
    this.value = value;
    this.#place = place;
  }

  has(path: YamlPath): boolean {
    return this.#walk(path).complete;
  }

  locate(path: YamlPath, at: 'key' | 'value' = 'value'): Place {
    const { complete, key, node } = this.#walk(path);
    const wanted = complete && (at === 'key' || isLeftOut(node)) ? key : node;
    return this.#place(offsetOf(wanted) ?? offsetOf(node) ?? offsetOf(key) ?? 0);
  }

  #walk(path: YamlPath): { complete: boolean; key: unknown; node: unknown } {
    let key: unknown;
    let node: unknown = this.#document.contents;
    for (const step of path) {
      const next = childOf(isAlias(node) ? node.resolve(this.#document) : node, step);
      if (next === undefined) return { complete: false, key, node };
      key = isPair(next) ? next.key : undefined;
      node = isPair(next) ? next.value : next;
    }
    return { complete: true, key, node };
  }
}

/** A value that was left out (`port:`) has no place worth showing; its key has. */
function isLeftOut(node: unknown): boolean {
  return node === null || (isScalar(node) && node.value === null && !node.source);
}

function offsetOf(node: unknown): number | undefined {
  return isNode(node) ? node.range?.[0] : undefined;
}

function childOf(parent: unknown, step: string | number): Pair<unknown, unknown> | object | undefined {
  if (isMap(parent)) return parent.items.find((pair) => keyOf(pair) === String(step));
  if (isSeq(parent)) return (parent.items as readonly (object | undefined)[])[Number(step)];
  return undefined;
}
