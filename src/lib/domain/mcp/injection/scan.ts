import type { Finding, RawTool } from '../tools.ts';
import { decodedTexts, disguises } from './encoded.ts';
import { hiddenRules } from './hidden.ts';
import { markupRules } from './markup.ts';
import { asRead, visible } from './normalise.ts';
import type { Rule } from './rule.ts';
import { wordRules } from './words.ts';

/** Counted up with every change of the rules: what was scanned by older ones is looked at again. */
export const scanVersion = 1;

/** Most findings of one tool: enough to be held by, and an end. */
const maxFindings = 20;
/** Most texts of one tool, and most characters of one, that are looked at; what is beyond is itself a finding. */
const maxTexts = 5_000;
const maxText = 20_000;

/**
 * Looks for instructions that a tool smuggles to the model that reads it: in name, title, description, annotations and
 * in every text of its schemas. Goes by fixed rules; what it finds is for people to judge, and what it does not find may
 * be there all the same.
 * @param tool within `toolLimits`
 */
export function scanTool(tool: RawTool): Finding[] {
  const findings: Finding[] = [];
  const texts = textsOf(tool);
  for (const { at, text } of texts.slice(0, maxTexts)) {
    for (const { rule, severity, excerpt } of scanText(text)) {
      if (findings.length < maxFindings && !findings.some((known) => known.rule === rule && known.at === at))
        findings.push({ rule, severity, at, excerpt });
    }
  }
  if (texts.length > maxTexts)
    findings.push({ rule: 'size.texts', severity: 'medium', at: 'inputSchema', excerpt: `${texts.length} texts` });
  return findings;
}

/** What is suspicious in one text. */
function scanText(text: string): Omit<Finding, 'at'>[] {
  const findings: Omit<Finding, 'at'>[] = [];
  const cut = text.length > maxText ? text.slice(0, maxText) : text;
  if (cut !== text) findings.push({ rule: 'size.text', severity: 'medium', excerpt: `${text.length} characters` });
  look(cut, hiddenRules, findings);
  look(cut, markupRules, findings);
  const read = asRead(cut);
  look(read, wordRules, findings);
  for (const { rule, text: decoded } of decodedTexts(cut)) {
    findings.push({ rule, severity: 'high', excerpt: visible(decoded) });
  }
  for (const { rule, text: undone } of disguises(cut)) {
    if (wordRules.some(({ find }) => find(asRead(undone)) !== undefined))
      findings.push({ rule, severity: 'high', excerpt: visible(undone) });
  }
  return findings;
}

function look(text: string, rules: readonly Rule[], findings: Omit<Finding, 'at'>[]): void {
  for (const { name, severity, find } of rules) {
    const found = find(text);
    if (found !== undefined) findings.push({ rule: name, severity, excerpt: visible(found) });
  }
}

interface Text {
  readonly at: string;
  readonly text: string;
}

/** Names of properties are read by models as well; so are the values that a schema offers. */
function textsOf(tool: RawTool): Text[] {
  const texts: Text[] = [];
  for (const member of ['name', 'title', 'description', 'annotations', 'inputSchema', 'outputSchema']) {
    collect(member, tool[member], texts);
  }
  texts.push({ at: 'name', text: String(tool['name']).replaceAll(/[_.-]+/g, ' ') });
  return texts;
}

function collect(at: string, value: unknown, texts: Text[]): void {
  if (typeof value === 'string') {
    if (value !== '') texts.push({ at, text: value });
  } else if (Array.isArray(value)) {
    for (const [index, item] of value.entries()) collect(`${at}[${index}]`, item, texts);
  } else if (typeof value === 'object' && value !== null) {
    for (const [name, inner] of Object.entries(value)) {
      // Keywords and plain names are nothing to look at: what could carry a sentence is.
      if (!/^[\w$.-]{1,60}$/.test(name)) texts.push({ at: `${at} (name)`, text: name });
      else if (name.length > 24) texts.push({ at: `${at} (name)`, text: name.replaceAll(/[_.-]+/g, ' ') });
      collect(`${at}.${visible(name, 60)}`, inner, texts);
    }
  }
}
