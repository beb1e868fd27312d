import { type Document, isScalar, type Node, type Pair, visit } from 'yaml';
import { quoted } from './quoted.ts';
import type { Finding } from './yaml-syntax.ts';

/** Nobody writes more by hand; each one costs time in the library that grows with the size of the file. */
const ALIASES_MAX = 1000;

/** Of one map; nobody reads more. */
const FINDINGS_MAX = 101;

/** The name of a field as it is in the value. */
export function keyOf(pair: Pair<unknown, unknown>): string {
  return isScalar(pair.key) ? String(pair.key.value) : '';
}

export interface Structure {
  readonly findings: Finding[];
  /** Whether a value can be made of it: not while an alias leads nowhere or back to itself. */
  readonly usable: boolean;
}

/**
 * What the grammar of YAML allows and a configuration doesn't: names twice, names that JavaScript would take for its
 * own, aliases to nothing or to what holds them. One pass, whatever the size.
 */
export function structureFindings(document: Document.Parsed, lineOf: (offset: number) => number): Structure {
  const findings: Finding[] = [];
  let usable = true;
  const anchors = new Map<string, Node>();
  let aliases = 0;
  visit(document, {
    Map(_, map) {
      findings.push(...nameFindings(map.items, lineOf));
      if (map.anchor) anchors.set(map.anchor, map);
    },
    Seq(_, seq) {
      if (seq.anchor) anchors.set(seq.anchor, seq);
    },
    Scalar(_, scalar) {
      if (scalar.anchor) anchors.set(scalar.anchor, scalar);
    },
    Alias(_, alias, ancestors) {
      aliases += 1;
      const offset = alias.range?.[0] ?? 0;
      const target = anchors.get(alias.source);
      const name = quoted(alias.source);
      if (aliases > ALIASES_MAX) {
        usable = false;
        findings.push({ offset, message: `more than ${ALIASES_MAX} aliases`, hint: 'Write the values out.' });
        return visit.BREAK;
      }
      if (target === undefined) {
        usable = false;
        findings.push({
          offset,
          message: `the alias ${name} stands for nothing`,
          hint: 'Set its anchor (&) before it.',
        });
      } else if (ancestors.includes(target)) {
        usable = false;
        findings.push({ offset, message: `the alias ${name} holds itself`, hint: 'Write the value out.' });
      }
      return undefined;
    },
  });
  return { findings, usable };
}

function nameFindings(pairs: readonly Pair<unknown, unknown>[], lineOf: (offset: number) => number): Finding[] {
  const findings: Finding[] = [];
  const seen = new Map<string, number>();
  for (const pair of pairs) {
    if (findings.length === FINDINGS_MAX) break;
    const key = keyOf(pair);
    const offset = (pair.key as Node | null)?.range?.[0] ?? 0;
    const first = seen.get(key);
    if (first !== undefined) {
      const hint = `The first is in line ${lineOf(first)}: keep one.`;
      findings.push({ offset, message: `${quoted(key)} is there twice`, hint });
      continue;
    }
    seen.set(key, offset);
    if (key === '__proto__') {
      findings.push({ offset, message: `${quoted(key)} can't be a name`, hint: 'Choose another name.' });
    } else if (key === '<<') {
      findings.push({ offset, message: 'merge keys (`<<`) are not supported', hint: 'Write the fields out.' });
    }
  }
  return findings;
}
