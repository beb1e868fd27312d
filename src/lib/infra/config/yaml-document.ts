import {
  type Alias,
  type Document,
  isAlias,
  isMap,
  isNode,
  isPair,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type Pair,
  type ParsedNode,
  parseDocument,
  visit,
} from 'yaml';
import type { ConfigIssue } from '../../shared/errors.ts';
import { quoted } from './quoted.ts';
import { syntaxMessage } from './yaml-syntax.ts';

/** How often an alias may repeat what it stands for, so that a small file can't unfold into a huge value. */
const ALIASES_MAX = 100;

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

/** Parses one YAML 1.2 document; all faults that can be seen at once are returned, with their places. */
export function parseYamlDocument(text: string, file: string): { document: YamlDocument } | { issues: ConfigIssue[] } {
  const counter = new LineCounter();
  const place = (offset: number): Place => {
    const { line, col } = counter.linePos(offset);
    return { line: Math.max(line, 1), column: Math.max(col, 1) };
  };
  const findings: { readonly offset: number; readonly message: string; readonly hint?: string }[] = [];
  try {
    const document = parseDocument(text, {
      lineCounter: counter,
      // The pretty form quotes the source, which may hold a secret.
      prettyErrors: false,
      stringKeys: true,
      // The library compares every key with every other; `structureFaults` does it in linear time.
      uniqueKeys: false,
      logLevel: 'error',
    });
    for (const fault of [...document.errors, ...document.warnings]) {
      findings.push({ offset: fault.pos[0], ...syntaxMessage(fault.code) });
    }
    if (document.directives?.yaml.explicit && document.directives.yaml.version !== '1.2') {
      findings.push({ offset: 0, message: 'is not YAML 1.2', hint: 'Remove the %YAML line.' });
    }
    if (findings.length === 0) findings.push(...structureFaults(document, place));
    if (findings.length === 0) {
      const value: unknown = document.toJS({ maxAliasCount: ALIASES_MAX });
      return { document: new LocatedDocument(document, value, place) };
    }
  } catch (error) {
    findings.push(unfoldFault(error, text));
  }
  findings.sort((a, b) => a.offset - b.offset);
  return { issues: findings.map(({ offset, ...finding }) => ({ file, ...place(offset), ...finding })) };
}

interface Finding {
  readonly offset: number;
  readonly message: string;
  readonly hint?: string;
}

/** What the grammar allows and we don't: keys twice, keys that JavaScript would take for its own, aliases to nothing. */
function structureFaults(document: Document.Parsed, place: (offset: number) => Place): Finding[] {
  const findings: Finding[] = [];
  visit(document, {
    Map(_, map) {
      const seen = new Map<string, number>();
      for (const pair of map.items) {
        const key = keyOf(pair);
        const offset = offsetOf(pair.key) ?? 0;
        const first = seen.get(key);
        if (first !== undefined) {
          const { line } = place(first);
          findings.push({
            offset,
            message: `${quoted(key)} is there twice`,
            hint: `The first is in line ${line}: keep one.`,
          });
        } else if (key === '__proto__') {
          findings.push({ offset, message: `${quoted(key)} can't be a name`, hint: 'Choose another name.' });
        } else if (key === '<<') {
          findings.push({ offset, message: 'merge keys (`<<`) are not supported', hint: 'Write the fields out.' });
        }
        if (first === undefined) seen.set(key, offset);
      }
    },
    Alias(_, alias, ancestors) {
      const target = alias.resolve(document);
      const offset = offsetOf(alias) ?? 0;
      const name = quoted(alias.source);
      if (target === undefined) {
        findings.push({
          offset,
          message: `the alias ${name} stands for nothing`,
          hint: 'Set its anchor (&) before it.',
        });
      } else if (ancestors.includes(target)) {
        findings.push({ offset, message: `the alias ${name} holds itself`, hint: 'Write the value out.' });
      }
    },
  });
  return findings;
}

function unfoldFault(error: unknown, text: string): Finding {
  // Thrown by the library when aliases unfold beyond ALIASES_MAX.
  if (error instanceof ReferenceError) {
    const offset = Math.max(text.search(/(?<=[\s[{,:-])\*/), 0);
    return { offset, message: 'the aliases unfold into too much', hint: 'Write the values out.' };
  }
  if (error instanceof RangeError) return { offset: 0, message: 'is nested too deeply' };
  throw error;
}

function keyOf(pair: Pair<unknown, unknown>): string {
  return isScalar(pair.key) ? String(pair.key.value) : '';
}

function offsetOf(node: unknown): number | undefined {
  return isNode(node) ? (node as Node).range?.[0] : undefined;
}

/** A value that was left out (`port:`) has no place worth showing; its key has. */
function isEmptyScalar(node: unknown): boolean {
  return isScalar(node) && (node.source === undefined || node.source === '') && node.value === null;
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
    const wanted = complete && (at === 'key' || isEmptyScalar(node)) ? key : node;
    return this.#place(offsetOf(wanted) ?? offsetOf(node) ?? offsetOf(key) ?? 0);
  }

  #walk(path: YamlPath): { complete: boolean; key: unknown; node: unknown } {
    let key: unknown;
    let node: unknown = this.#document.contents;
    for (const step of path) {
      const parent: unknown = isAlias(node) ? (node as Alias).resolve(this.#document) : node;
      const next = childOf(parent, step);
      if (next === undefined) return { complete: false, key, node };
      key = isPair(next) ? next.key : undefined;
      node = isPair(next) ? next.value : next;
    }
    return { complete: true, key, node };
  }
}

function childOf(parent: unknown, step: string | number): Pair<unknown, unknown> | ParsedNode | undefined {
  if (isMap(parent)) return parent.items.find((pair) => keyOf(pair) === String(step));
  if (isSeq(parent)) return parent.items[Number(step)] as ParsedNode | undefined;
  return undefined;
}
