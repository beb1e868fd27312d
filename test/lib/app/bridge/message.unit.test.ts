import { expect, it } from 'vitest';
import { JsonRpcMessage } from '../../../../src/lib/app/bridge/message.ts';

function renamed(text: string, id: string | number): string | undefined {
  return JsonRpcMessage.parse(text)?.withId(id).text;
}

it.each([
  // At the beginning, at the end, and where it has to be written anew.
  ['{"jsonrpc":"2.0","id":1,"result":{"n":1.0}}', '{"jsonrpc":"2.0","id":"x","result":{"n":1.0}}'],
  ['{"result":{"n":1.0},"jsonrpc":"2.0","id":1}', '{"result":{"n":1.0},"jsonrpc":"2.0","id":"x"}'],
  ['{"jsonrpc":"2.0","result":{"n":1.0,"id":1},"id":1}\r', '{"jsonrpc":"2.0","result":{"n":1.0,"id":1},"id":"x"}\r'],
  ['{"jsonrpc":"2.0","result":{"id":2},"id":1 , "a":0}', '{"jsonrpc":"2.0","result":{"id":2},"id":"x","a":0}'],
  ['{ "id" : 1, "jsonrpc":"2.0","result":{"id":1}}', '{"id":"x","jsonrpc":"2.0","result":{"id":1}}'],
  [
    '{"jsonrpc":"2.0","result":{"a":",\\"id\\":1}"},"id":1}',
    '{"jsonrpc":"2.0","result":{"a":",\\"id\\":1}"},"id":"x"}',
  ],
])('puts another id into %s', (text, expected) => {
  expect(renamed(text, 'x')).toBe(expected);
  expect(JSON.parse(renamed(text, 'x') ?? '')).toMatchObject({ id: 'x' });
});

it('goes by what the text says, also when a member is repeated', () => {
  const twice = renamed('{"jsonrpc":"2.0","id":1,"result":{},"id":2}', 9) ?? '';
  expect(JSON.parse(twice)).toEqual({ jsonrpc: '2.0', id: 9, result: {} });
});

it.each([
  'no JSON',
  '[]',
  '{"jsonrpc":"1.0","id":1,"result":{}}',
  '{"jsonrpc":"2.0","id":1}',
  '{"jsonrpc":"2.0","id":{},"method":"a"}',
  '{"jsonrpc":"2.0","id":1,"method":"a","result":{}}',
  '{"jsonrpc":"2.0","id":1,"result":{},"error":{}}',
  '{"jsonrpc":"2.0","id":1,"result":"text"}',
])('takes no other text for a message: %s', (text) => {
  expect(JsonRpcMessage.parse(text)).toBeUndefined();
});

it('makes one line of a message that has several', () => {
  const message = JsonRpcMessage.parse('{"jsonrpc":"2.0",\n "id":1,\r\n "method":"a b\\n"}');
  expect(message?.line).toBe('{"jsonrpc":"2.0","id":1,"method":"a b\\n"}');
});
