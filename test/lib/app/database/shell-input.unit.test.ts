import { describe, expect, test } from 'vitest';
import { ShellInput } from '../../../../src/lib/app/database/shell-input.ts';

const statement = (sql: string) => ({ kind: 'statement', sql });
const command = (name: string, argument = '') => ({ kind: 'command', name, argument });

describe('what is typed into the shell', () => {
  test('is a statement once a semicolon ends it, over several lines', () => {
    const input = new ShellInput();
    expect(input.add('SELECT 1')).toEqual([]);
    expect(input.open).toBe(true);
    expect(input.add("  , ';' AS x")).toEqual([]);
    expect(input.add('; SELECT 2; SELECT')).toEqual([statement("SELECT 1\n  , ';' AS x"), statement('SELECT 2')]);
    expect(input.open).toBe(true);
    expect(input.add('3;')).toEqual([statement('SELECT\n3')]);
    expect(input.open).toBe(false);
    expect(input.add('')).toEqual([]);
    expect(input.add('-- a comment')).toEqual([]);
    expect(input.open).toBe(false);
  });

  test('may hold a text of several lines', () => {
    const input = new ShellInput();
    expect(input.add("SELECT 'a;")).toEqual([]);
    expect(input.add('\\d')).toEqual([]);
    expect(input.add("';")).toEqual([statement("SELECT 'a;\n\\d\n'")]);
    expect(input.add('/* open ;')).toEqual([]);
    expect(input.open).toBe(true);
    expect(input.add('*/ SELECT 1;')).toEqual([statement('/* open ;\n*/ SELECT 1')]);
  });

  test('is a command when it begins with a backslash', () => {
    const input = new ShellInput();
    expect(input.add('\\d')).toEqual([command('d')]);
    expect(input.add(' \\d  audit.tool_intents ; ')).toEqual([command('d', 'audit.tool_intents')]);
    expect(input.add('\\q')).toEqual([command('q')]);
  });

  test('can be forgotten, and its end ends the last statement', () => {
    const input = new ShellInput();
    input.add('SELECT 1');
    input.clear();
    expect(input.open).toBe(false);
    input.add('SELECT 2');
    expect(input.end()).toEqual([statement('SELECT 2')]);
    expect(input.end()).toEqual([]);
  });
});
