import { setFlagsFromString } from 'node:v8';
import { UsageError } from '../../shared/errors.ts';
import type { LogEntry } from './entries.ts';

const patternLimit = 1_000;

/**
 * What a search looks for: a text, or a regular expression. An expression is run by V8's linear engine, so that none can
 * keep the machine busy (`(a+)+$`); what that engine can't do is refused.
 *
 * @throws UsageError for an expression that is none, or that takes more than linear time
 */
export function searchPattern(
  pattern: string,
  { regex, ignoreCase }: { readonly regex: boolean; readonly ignoreCase: boolean },
): (entry: LogEntry) => boolean {
  if (pattern === '' || pattern.length > patternLimit) {
    throw new UsageError(`The pattern must have 1 to ${patternLimit} characters`, {
      next: ['infra logs search --help'],
    });
  }
  if (regex) {
    const expression = linear(pattern);
    return ({ message, raw }) => expression.test(message) || expression.test(raw);
  }
  const wanted = ignoreCase ? pattern.toLowerCase() : pattern;
  const held = (text: string): boolean => (ignoreCase ? text.toLowerCase() : text).includes(wanted);
  // The message stands in the raw line as JSON writes it, with its quotes escaped.
  return ({ message, raw }) => held(message) || held(raw);
}

function linear(pattern: string): RegExp {
  try {
    new RegExp(pattern);
    setFlagsFromString('--enable-experimental-regexp-engine');
    return new RegExp(pattern, 'l');
  } catch (cause) {
    const unbounded = cause instanceof Error && cause.message.includes('linear time');
    throw new UsageError(unbounded ? 'The regular expression could take too long' : 'That is no regular expression', {
      hint: unbounded
        ? 'Leave out look-around, back-references and large repetitions'
        : `${cause instanceof Error ? cause.message : String(cause)}. Without --regex the pattern is plain text`,
      next: ['infra logs search --help'],
      cause,
    });
  }
}
