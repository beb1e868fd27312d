import fc from 'fast-check';
import { UsageError } from 'systemprompt';
import { describe, expect, it } from 'vitest';
import { splitCommandLine, wordsOf } from '../../../../extensions/mcp/systemprompt/command-line.ts';

/** Any word, NUL left out: no process can be given one. */
const word = fc.string({ unit: 'binary', maxLength: 20 }).filter((text) => !text.includes('\0'));
const blanks = fc
  .array(fc.constantFrom(' ', '\t', '\n', '\r'), { minLength: 1, maxLength: 3 })
  .map((parts) => parts.join(''));

const quotings: readonly ((text: string) => string)[] = [
  (text) => `'${text.replaceAll("'", `'\\''`)}'`,
  (text) => `"${text.replaceAll(/[\\$`"]/g, '\\$&')}"`,
  // A backslash before a newline would join the lines.
  (text) =>
    text === '' ? "''" : [...text].map((character) => (character === '\n' ? "'\n'" : `\\${character}`)).join(''),
];

describe('splitCommandLine', () => {
  it('gives back words that were quoted in any way', () => {
    const quoted = fc.tuple(word, fc.constantFrom(...quotings), blanks);
    fc.assert(
      fc.property(fc.array(quoted), (words) => {
        const line = words.map(([text, quote, blank]) => quote(text) + blank).join('');
        expect(splitCommandLine(line)).toEqual(words.map(([text]) => text));
      }),
    );
  });

  it('gives words without a special character back as they are', () => {
    const bare = fc.stringMatching(/^[^\s'"\\]+$/);
    fc.assert(
      fc.property(fc.array(bare), (words) => {
        expect(splitCommandLine(words.join(' '))).toEqual(words);
      }),
    );
  });

  it('either splits or throws a usage error, whatever it is given', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...`ab'"\\ \n$*;|&`) }), (line) => {
        try {
          const words = splitCommandLine(line);
          expect(words.join('').length).toBeLessThanOrEqual(line.length);
        } catch (error) {
          expect(error).toBeInstanceOf(UsageError);
        }
      }),
    );
  });

  it.each([
    [`a'b'"c"d`, ['abcd']],
    [`"" ''`, ['', '']],
    ['$HOME `id` *.ts ~ {a,b} | && > x', ['$HOME', '`id`', '*.ts', '~', '{a,b}', '|', '&&', '>', 'x']],
    [`"a\\n\\"b\\\\"`, ['a\\n"b\\']],
    ['a\\\nb', ['ab']],
    ['', []],
    ['   ', []],
  ])('%j', (line, words) => {
    expect(splitCommandLine(line)).toEqual(words);
  });

  it.each([`'open`, `"open`, `"open\\"`, 'end\\'])('refuses %j', (line) => {
    expect(() => splitCommandLine(line)).toThrow(UsageError);
  });
});

describe('wordsOf', () => {
  it('forgives the name of the program', () => {
    expect(wordsOf({ command: 'systemprompt infra services status' })).toEqual(['infra', 'services', 'status']);
    expect(wordsOf({ args: ['systemprompt', 'a b'] })).toEqual(['a b']);
  });

  it('refuses what no process can be given, and what nobody means', () => {
    expect(() => wordsOf({ args: ['a\0b'] })).toThrow(UsageError);
    expect(() => wordsOf({ args: Array.from({ length: 1000 }, () => 'x') })).toThrow(UsageError);
    expect(() => wordsOf({ command: 'x'.repeat(20_000) })).toThrow(UsageError);
  });
});
