import { parseEnv } from 'node:util';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseDotenv } from '../../../../src/lib/app/secrets/dotenv.ts';
import { readValuesFile } from '../../../../src/lib/app/secrets/values-file.ts';

const read = (text: string): Record<string, string> => Object.fromEntries(readValuesFile(text, '.env'));

/** What is refused: the findings, without what they say should be written. */
function findings(text: string, file = '.env'): string[] {
  try {
    readValuesFile(text, file);
  } catch (error) {
    const { issues } = error as { issues: { line: number; message: string }[] };
    return issues.map(({ line, message }) => `${line} ${message}`);
  }
  return [];
}

describe('lines of NAME=value', () => {
  it.each([
    ['A=1', '1'],
    ['export A=1', '1'],
    ['  A = 1  ', '1'],
    ['A=x y # said', 'x y'],
    ['A=x#y', 'x#y'],
    ["A='x # y\\n'", 'x # y\\n'],
    ['A="x\\ny"', 'x\ny'],
    ['A="say \\"x\\""', 'say "x"'],
    ['A="one\ntwo"', 'one\ntwo'],
    ['A=`it\'s "x"` # said', 'it\'s "x"'],
    ['\uFEFFA=1\r\n', '1'],
    ['# first\n\nA=$HOME', '$HOME'],
    ['A="C:\\\\new"', 'C:\\new'],
  ])('%j', (text, value) => {
    expect(read(text)).toEqual({ A: value });
  });

  it('says what node says of what both can read', () => {
    const plain = fc.stringMatching(/^[A-Za-z0-9_./:@-]{1,20}$/);
    const quoted = fc.stringMatching(/^[A-Za-z0-9 #=$\n]{1,20}$/).map((text) => `'${text}'`);
    const line = fc
      .tuple(fc.stringMatching(/^[A-Z][A-Z0-9_]{0,5}$/), fc.oneof(plain, quoted))
      .map(([name, value]) => ({ name, line: `${name}=${value}` }));
    fc.assert(
      fc.property(fc.uniqueArray(line, { selector: ({ name }) => name, minLength: 1, maxLength: 5 }), (lines) => {
        const text = lines.map((entry) => entry.line).join('\n');
        const { values, issues } = parseDotenv(text, '.env');
        expect(issues).toEqual([]);
        expect(Object.fromEntries(values)).toEqual({ ...parseEnv(text) });
      }),
    );
  });

  it('all findings at once, with their lines and without any value', () => {
    const text = 'A=1\nhunter2 hunter2\nA=hunter2\nB="hunter2" hunter2\nC=\nD="hunter2';
    expect(findings(text)).toEqual([
      '1 the value of C is empty',
      '2 this line is no assignment',
      '3 A is there twice',
      '4 something follows the value of B',
      '6 no end of the quote of D',
    ]);
  });
});

describe('a JSON object', () => {
  it('of texts', () => {
    expect(read('{"a.b": "x", "C": "y\\n"}')).toEqual({ 'a.b': 'x', C: 'y\n' });
  });

  it.each([
    ['{"a": hunter2}', ['1 it is not JSON']],
    ['{"a": 5, "b c": "x"}', ['1 the value of "a" is no text', '1 "b c" is no name for a secret']],
    ['{}', ['1 there is no value in it']],
    ['{"a": "\\u0000"}', ['1 the value of a holds a NUL character, which no environment variable can']],
  ])('%j is refused', (text, expected) => {
    expect(findings(text)).toEqual(expected);
  });

  it('[] in a file of that name is refused', () => {
    expect(findings('["hunter2"]', 'x.json')).toEqual(['1 it is no JSON object']);
  });
});
