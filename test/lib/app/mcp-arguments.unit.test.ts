import { describe, expect, it } from 'vitest';
import { typedArguments } from '../../../src/lib/app/mcp-arguments.ts';

const properties = {
  text: { type: 'string' },
  count: { type: 'integer' },
  either: { anyOf: [{ type: 'string' }, { type: 'null' }] },
  tags: { type: 'array', items: { type: 'string' } },
  numbers: { type: 'array', items: { type: 'number' } },
  anything: {},
};
const typed = (...given: (readonly [string, string])[]) =>
  typedArguments(given, properties, { server: 'demo', tool: 'x' });

describe('an argument given as text', () => {
  it.each([
    ['text', '5', '5'],
    ['count', '5', 5],
    ['either', 'null', null],
    ['either', '7', '7'],
    ['tags', '["a","b"]', ['a', 'b']],
    ['tags', '5', ['5']],
    ['numbers', '5', [5]],
    ['anything', '{"a":1}', { a: 1 }],
    ['anything', 'a b', 'a b'],
    ['unknown', 'true', true],
  ])('%s=%s becomes what the schema asks for', (name, text, value) => {
    expect(typed([name, text])).toEqual({ [name]: value });
  });

  it('of a list may come element by element', () => {
    expect(typed(['tags', 'a'], ['count', '1'], ['tags', '[b']).tags).toEqual(['a', '[b']);
  });

  it.each([
    ['count', 'five'],
    ['count', '1.5'],
    ['numbers', '[1,'],
    ['numbers', 'x'],
  ])('%s=%s is refused by its name', (name, text) => {
    expect(() => typed([name, text])).toThrow(
      expect.objectContaining({ code: 'USAGE', next: ['plugins mcp tools demo'] }),
    );
    expect(() => typed([name, text])).toThrow(new RegExp(`^The argument ${name} of x must be JSON`));
  });

  it('is given twice where there is a list only', () => {
    expect(() => typed(['count', '1'], ['count', '2'])).toThrow('given 2 times');
  });
});
