import type { YAMLError } from 'yaml';

interface Remedy {
  readonly message: string;
  readonly hint?: string;
}

// The library's own messages quote the source in places; a file may hold secrets, so each code has a text of ours.
const REMEDIES: Readonly<Record<YAMLError['code'], Remedy>> = {
  ALIAS_PROPS: { message: 'an alias can have no tag or anchor of its own' },
  BAD_ALIAS: { message: 'an alias is not well formed', hint: 'Write a value that begins with * or & in quotes.' },
  BAD_COLLECTION_TYPE: { message: 'the tag does not fit what it stands before', hint: 'Remove the tag.' },
  BAD_DIRECTIVE: { message: 'a line that begins with % is no directive of YAML 1.2', hint: 'Remove the line.' },
  BAD_DQ_ESCAPE: { message: 'no such escape in double quotes', hint: 'Write a backslash twice, or use single quotes.' },
  BAD_INDENT: { message: 'is not indented as its surroundings are', hint: 'Align it with its siblings, with spaces.' },
  BAD_PROP_ORDER: { message: 'an anchor or tag stands in the wrong place', hint: 'Put it right before its value.' },
  BAD_SCALAR_START: { message: 'a value can not begin like this', hint: 'Put the value in quotes.' },
  BLOCK_AS_IMPLICIT_KEY: {
    message: 'a field begins inside a value',
    hint: 'Put it on a line of its own, or quote the value.',
  },
  BLOCK_IN_FLOW: {
    message: 'a block can not stand inside brackets',
    hint: 'Close the bracket, or write it in brackets too.',
  },
  DUPLICATE_KEY: { message: 'the same name is there twice', hint: 'Keep one.' },
  IMPOSSIBLE: { message: 'is not YAML' },
  KEY_OVER_1024_CHARS: { message: 'a name is longer than 1024 characters' },
  MISSING_CHAR: { message: 'a character is missing: a space, colon, comma, quote or bracket' },
  MULTILINE_IMPLICIT_KEY: { message: 'a name runs over several lines', hint: 'Is the colon after it missing?' },
  MULTIPLE_ANCHORS: { message: 'a value has two anchors', hint: 'Keep one.' },
  MULTIPLE_DOCS: { message: 'a second document begins here', hint: 'Put it into a file of its own.' },
  MULTIPLE_TAGS: { message: 'a value has two tags', hint: 'Keep one.' },
  NON_STRING_KEY: { message: 'a list or map can not be a name', hint: 'Put text in braces or brackets in quotes.' },
  RESOURCE_EXHAUSTION: { message: 'is nested too deeply' },
  TAB_AS_INDENT: { message: 'a tab can not indent', hint: 'Use spaces.' },
  TAG_RESOLVE_FAILED: { message: 'an unknown tag (!)', hint: 'Remove the tag, or put the value in quotes.' },
  UNEXPECTED_TOKEN: { message: 'is not expected here', hint: 'Look for a missing quote, bracket or colon before it.' },
};

/** What a fault of the YAML parser means, in our words. */
export function syntaxMessage(code: YAMLError['code']): Remedy {
  return REMEDIES[code] ?? { message: 'is not YAML' };
}
