import type { z } from 'zod';
import { nearest } from '../../shared/nearest.ts';

/** What is wrong with a value, to be read after its name. Never quotes the value: it may be a secret in the wrong place. */
export function predicate(issue: z.core.$ZodRawIssue): string {
  switch (issue.code) {
    case 'invalid_type':
      return issue.input === null || issue.input === undefined
        ? `is empty and must be ${kindName(issue.expected)}`
        : `must be ${kindName(issue.expected)}, not ${valueKind(issue.input)}`;
    case 'invalid_value':
      return `must be ${issue.values.length === 1 ? '' : 'one of: '}${issue.values.map(shown).join(', ')}`;
    case 'too_small':
      return `must ${amount(issue.origin, 'at least', 'more than', issue.minimum, issue.inclusive ?? true)}`;
    case 'too_big':
      return `must ${amount(issue.origin, 'at most', 'less than', issue.maximum, issue.inclusive ?? true)}`;
    case 'invalid_format':
      return issue.format === 'regex' ? 'is not of the right form' : `must be a well-formed ${issue.format}`;
    case 'not_multiple_of':
      return `must be a multiple of ${issue.divisor}`;
    case 'invalid_union':
      return issue.discriminator === undefined
        ? `is none of the forms that it can have, but ${valueKind(issue.input)}`
        : `must be one of: ${(Array.isArray(issue.options) ? issue.options : []).map(shown).join(', ')}`;
    default:
      return 'is not valid';
  }
}

/** What to write instead, where the kind of fault tells. */
export function hintOf(issue: z.core.$ZodIssue, value: unknown): string | undefined {
  switch (issue.code) {
    case 'invalid_value': {
      const [meant] = typeof value === 'string' ? nearest(value, issue.values.map(String), 1) : [];
      return meant === undefined ? undefined : `did you mean \`${meant}\`?`;
    }
    case 'invalid_type':
      if (issue.expected === 'boolean') return 'write true or false';
      if (issue.expected === 'string' && typeof value !== 'object') return 'put it in quotes';
      if (['number', 'int'].includes(issue.expected) && typeof value === 'string')
        return 'write it without quotes or unit';
      return undefined;
    case 'custom':
      return typeof issue.params?.hint === 'string' ? issue.params.hint : undefined;
    default:
      return undefined;
  }
}

function amount(origin: string, atLeast: string, moreThan: string, limit: number | bigint, inclusive: boolean): string {
  const bound = `${inclusive ? atLeast : moreThan} ${limit}`;
  if (origin === 'string') return `have ${bound} characters`;
  if (origin === 'array' || origin === 'set' || origin === 'map') return `have ${bound} entries`;
  return `be ${bound}`;
}

const KIND_NAMES: Readonly<Record<string, string>> = {
  object: 'a map of fields',
  record: 'a map',
  array: 'a list',
  tuple: 'a list',
  string: 'text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  null: 'empty',
  never: 'left out',
};

function kindName(expected: string): string {
  return KIND_NAMES[expected] ?? expected;
}

function valueKind(value: unknown): string {
  if (value === null || value === undefined) return 'empty';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object') return 'a map';
  if (typeof value === 'string') return 'text';
  if (typeof value === 'boolean') return 'true or false';
  if (Number.isInteger(value)) return 'a whole number';
  return Number.isFinite(value) ? 'a fraction' : 'an infinite or undefined number';
}

function shown(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}
