import { describe, expect, test } from 'vitest';
import { endsQuoted, firstWord, splitStatements } from '../../../../src/lib/infra/database/statements.ts';

const parts = (sql: string) => {
  const { statements, rest } = splitStatements(sql);
  return { done: statements.map(({ text }) => text), rest: rest?.text };
};

describe('a text of statements', () => {
  test.each<[string, readonly string[], string | undefined]>([
    ['SELECT 1', [], 'SELECT 1'],
    ['SELECT 1; SELECT 2;', ['SELECT 1', 'SELECT 2'], undefined],
    [';;  ; -- nothing\n', [], undefined],
    ["SELECT ';' ; x", ["SELECT ';'"], 'x'],
    ["SELECT 'it''s; fine';", ["SELECT 'it''s; fine'"], undefined],
    ["SELECT E'a\\';b';", ["SELECT E'a\\';b'"], undefined],
    // Without the E a backslash is one like any other.
    ["SELECT 'a\\';b", ["SELECT 'a\\'"], 'b'],
    ['SELECT "a;""b";', ['SELECT "a;""b"'], undefined],
    ['SELECT $$;$$, $tag$ $$ ; $tag$;', ['SELECT $$;$$, $tag$ $$ ; $tag$'], undefined],
    ['SELECT $1; SELECT a$b$c;', ['SELECT $1', 'SELECT a$b$c'], undefined],
    ['SELECT 1 -- ; no\n;', ['SELECT 1 -- ; no'], undefined],
    ['SELECT /* ; /* ; */ ; */ 1;', ['SELECT /* ; /* ; */ ; */ 1'], undefined],
    [
      'CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; SELECT 2; END; SELECT 3;',
      ['CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; SELECT 2; END', 'SELECT 3'],
      undefined,
    ],
    ['BEGIN; SELECT 1; END;', ['BEGIN', 'SELECT 1', 'END'], undefined],
    ["SELECT 'open; ", [], "SELECT 'open;"],
  ])('%j', (sql, done, rest) => {
    expect(parts(sql)).toEqual({ done, rest });
  });

  test('each part knows where it began', () => {
    const sql = '  SELECT 1;\n\n SELECT 2';
    const { statements, rest } = splitStatements(sql);
    expect(statements[0]?.start).toBe(2);
    expect(rest?.start).toBe(sql.indexOf('SELECT 2'));
  });

  test.each([
    ["SELECT 'a", true],
    ['SELECT "a', true],
    ['SELECT $x$ a $$', true],
    ['SELECT /* a', true],
    ["SELECT 'a'", false],
    ['SELECT 1 -- it', false],
  ])('%j ends within quotes: %s', (sql, open) => {
    expect(endsQuoted(sql)).toBe(open);
  });

  test.each([
    ['select 1', 'SELECT'],
    ['-- a\n/* b */ (SELECT 1)', 'SELECT'],
    ['  ', ''],
    ["'a'", ''],
  ])('%j begins with %s', (sql, word) => {
    expect(firstWord(sql)).toBe(word);
  });
});
