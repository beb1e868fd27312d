import { type Document, isCollection, isScalar, visit, type YAMLError } from 'yaml';

/** Something wrong at an offset of the text. */
export interface Finding {
  readonly offset: number;
  readonly message: string;
  readonly hint?: string;
}

type Remedy = Omit<Finding, 'offset'>;

/**
 * What the faults of the YAML parser mean, in our words: the library's own quote the source in places, and a file may
 * hold secrets. What is left open is reported where it opens, not at the end of the file.
 */
export function syntaxFindings(document: Document.Parsed, text: string): Finding[] {
  const foreignLine = notYaml(text);
  if (foreignLine !== undefined) return [foreignLine];
  const open = unclosed(document);
  const directives = document.directives?.yaml;
  const foreign = directives?.explicit && directives.version !== '1.2' ? [{ offset: 0, ...OTHER_VERSION }] : [];
  const faults = [...document.errors.slice(0, FAULTS_MAX), ...document.warnings.slice(0, FAULTS_MAX)].map((fault) => {
    const offset = fault.pos[0];
    if (UNCLOSED.test(fault.message)) {
      const opener = open.get(offset)?.pop();
      if (opener !== undefined) {
        const bracket = text[opener] ?? '';
        return { offset: opener, message: `${NAMES[bracket] ?? 'what begins here'} is never closed`, hint: CLOSE };
      }
    }
    if (fault.code !== 'MULTIPLE_DOCS' && /^-\s/.test(text.slice(offset, offset + 2))) return { offset, ...STRAY_ITEM };
    return {
      offset,
      ...(REFINED.find(([pattern]) => pattern.test(fault.message))?.[1] ?? REMEDIES[fault.code] ?? UNKNOWN),
    };
  });
  const tabs = faults.filter(({ message }) => message === TAB.message);
  // What else is wrong there follows from the tabs.
  return [...foreign, ...(tabs.length > 0 ? tabs : faults)];
}

/** What comes from elsewhere and has a meaning of its own, and is broken YAML in ways that nobody would guess. */
function notYaml(text: string): Finding | undefined {
  const conflict = text.search(/^(<{7} |={7}$|>{7} )/m);
  if (conflict !== -1 && /^<{7} /m.test(text)) return { offset: conflict, ...CONFLICT };
  const space = /^[ ]*(?=[\u00a0\u1680\u2000-\u200b\u202f\u205f\u3000\ufeff])/m.exec(text);
  return space === null ? undefined : { offset: space.index + space[0].length, ...WIDE_SPACE };
}

/** A file of another kind has one a line, or one a character. */
const FAULTS_MAX = 200;

const CONFLICT: Remedy = {
  message: 'a conflict of version control was left here',
  hint: 'Choose one of the two sides.',
};
const WIDE_SPACE: Remedy = {
  message: 'a line begins with a space of another kind',
  hint: 'Use ordinary spaces (U+0020).',
};
const TAB: Remedy = { message: "a tab can't indent", hint: 'Use spaces.' };
const OTHER_VERSION: Remedy = { message: 'the file is not YAML 1.2', hint: 'Remove the %YAML line.' };
const UNCLOSED = /end with a [\]}]$|^Missing closing/;
const CLOSE = 'Close it, and indent every line of it deeper than its name.';
const NAMES: Readonly<Record<string, string>> = {
  '[': 'the bracket `[`',
  '{': 'the brace `{`',
  '"': 'the quote `"`',
  "'": "the quote `'`",
};
const UNKNOWN: Remedy = { message: 'this is not YAML', hint: 'Compare it with a file that works.' };
const STRAY_ITEM: Remedy = {
  message: 'a list item stands among fields',
  hint: 'Indent the list under the field it belongs to.',
};

/** Where each bracketed list or map and each quoted text begins, by where it ends; the innermost last. */
function unclosed(document: Document.Parsed): Map<number, number[]> {
  const openers = new Map<number, number[]>();
  visit(document, {
    Node(_, node) {
      const bracketed = isCollection(node) && node.flow === true;
      const quotedText = isScalar(node) && (node.type === 'QUOTE_DOUBLE' || node.type === 'QUOTE_SINGLE');
      if ((!bracketed && !quotedText) || !node.range) return;
      const [start, end] = node.range;
      openers.set(end, [...(openers.get(end) ?? []), start]);
    },
  });
  return openers;
}

/** Where one code covers faults that need different remedies. */
const REFINED: readonly (readonly [RegExp, Remedy])[] = [
  [
    /^Implicit map keys need/,
    { message: 'a name without a value', hint: 'Write a colon, a space and a value after it.' },
  ],
  [/^Missing ,/, { message: 'a comma is missing', hint: 'Put one between the entries.' }],
  [/^Missing space after :/, { message: 'a space is missing after the colon', hint: 'Write `name: value`.' }],
  [
    /^Comments must be separated/,
    { message: 'a comment needs a space before its #', hint: 'Put a space there, or the value in quotes.' },
  ],
  [/^Sequence item without/, { message: 'a list item without its dash', hint: 'Begin it with a dash and a space.' }],
  [
    /at node end$/,
    { message: 'more follows after the value', hint: 'Put all of it in quotes, or remove what follows.' },
  ],
];

const REMEDIES: Readonly<Record<YAMLError['code'], Remedy>> = {
  ALIAS_PROPS: { message: 'an alias can have no tag or anchor of its own', hint: 'Remove what stands before the *.' },
  BAD_ALIAS: { message: 'an alias is not well formed', hint: 'Write a value that begins with * or & in quotes.' },
  BAD_COLLECTION_TYPE: { message: 'the tag does not fit what it stands before', hint: 'Remove the tag.' },
  BAD_DIRECTIVE: { message: 'a line that begins with % is no directive of YAML 1.2', hint: 'Remove the line.' },
  BAD_DQ_ESCAPE: { message: 'no such escape in double quotes', hint: 'Write a backslash twice, or use single quotes.' },
  BAD_INDENT: { message: 'not indented as its surroundings are', hint: 'Align it with its siblings, with spaces.' },
  BAD_PROP_ORDER: { message: 'an anchor or tag stands in the wrong place', hint: 'Put it right before its value.' },
  BAD_SCALAR_START: { message: "a value can't begin like this", hint: 'Put the value in quotes.' },
  BLOCK_AS_IMPLICIT_KEY: {
    message: 'a field begins inside a value',
    hint: 'Put it on a line of its own, or quote the value.',
  },
  BLOCK_IN_FLOW: {
    message: "a block can't stand inside brackets",
    hint: 'Close the bracket, or write it in brackets too.',
  },
  DUPLICATE_KEY: { message: 'the same name is there twice', hint: 'Keep one.' },
  IMPOSSIBLE: UNKNOWN,
  KEY_OVER_1024_CHARS: { message: 'a name is longer than 1024 characters', hint: 'Is a line break missing?' },
  MISSING_CHAR: {
    message: 'a character is missing: a space, colon, comma, quote or bracket',
    hint: 'Compare the line with its neighbours.',
  },
  MULTILINE_IMPLICIT_KEY: { message: 'a name runs over several lines', hint: 'Is the colon after it missing?' },
  MULTIPLE_ANCHORS: { message: 'a value has two anchors', hint: 'Keep one.' },
  MULTIPLE_DOCS: { message: 'a second document begins here', hint: 'Put it into a file of its own.' },
  MULTIPLE_TAGS: { message: 'a value has two tags', hint: 'Keep one.' },
  NON_STRING_KEY: { message: "a list or map can't be a name", hint: 'Put text in braces or brackets in quotes.' },
  RESOURCE_EXHAUSTION: { message: 'nested too deeply', hint: 'Write it with fewer levels.' },
  TAB_AS_INDENT: TAB,
  TAG_RESOLVE_FAILED: { message: 'an unknown tag (!)', hint: 'Remove the tag, or put the value in quotes.' },
  UNEXPECTED_TOKEN: {
    message: 'this is not expected here',
    hint: 'Look for a missing quote, bracket or colon before it.',
  },
};
