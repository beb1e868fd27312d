import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Malformed, type Message, parseMessage } from '../../../../src/lib/app/router/jsonrpc.ts';

const parse = (text: string): Message => parseMessage(Buffer.from(text));
const flaw = (text: string): Malformed => {
  const message = parse(text);
  if (message.kind !== 'malformed') throw new Error(`accepted: ${text}`);
  return message;
};

describe('parseMessage', () => {
  it('reads a tool call with its id, tool and arguments', () => {
    expect(
      parse('{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"t","arguments":{"a":[1,{"b":2}]}}}'),
    ).toEqual({
      kind: 'call',
      id: 7,
      tool: 't',
      input: { a: [1, { b: 2 }] },
    });
    expect(parse('{"jsonrpc":"2.0","id":"x","method":"tools/call","params":{"name":"t","_meta":{"p":1}}}')).toEqual({
      kind: 'call',
      id: 'x',
      tool: 't',
      input: {},
    });
  });

  it('tells requests, notifications and responses apart', () => {
    expect(parse('{"jsonrpc":"2.0","id":0,"method":"tools/list"}')).toEqual({
      kind: 'request',
      id: 0,
      method: 'tools/list',
    });
    expect(parse('{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":3}}')).toEqual({
      kind: 'notification',
      method: 'notifications/cancelled',
      cancels: 3,
    });
    expect(parse('{"jsonrpc":"2.0","id":0,"result":{}}')).toEqual({ kind: 'response', to: 0, result: {} });
    expect(parse('{"jsonrpc":"2.0","id":"q","error":{"code":1,"message":"m"}}')).toEqual({
      kind: 'response',
      to: 'q',
      result: undefined,
    });
  });

  it.each([
    ['', -32700],
    ['{', -32700],
    ['{"jsonrpc":"2.0","id":1,"method":"ping"', -32700],
    ['nonsense', -32700],
    ['"text"', -32600],
    ['null', -32600],
    ['[]', -32600],
    ['[{"jsonrpc":"2.0","id":1,"method":"ping"}]', -32600],
    ['{"id":1,"method":"ping"}', -32600],
    ['{"jsonrpc":"1.0","id":1,"method":"ping"}', -32600],
    ['{"jsonrpc":"2.0","id":1}', -32600],
    ['{"jsonrpc":"2.0","id":1,"method":5}', -32600],
    ['{"jsonrpc":"2.0","id":null,"method":"ping"}', -32600],
    ['{"jsonrpc":"2.0","id":{},"method":"ping"}', -32600],
    ['{"jsonrpc":"2.0","id":1,"method":"ping","result":{}}', -32600],
    ['{"jsonrpc":"2.0","method":"tools/call","params":{"name":"t"}}', -32600],
    ['{"jsonrpc":"2.0","id":1,"method":"tools/call"}', -32602],
    ['{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{}}', -32602],
    ['{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":7}}', -32602],
    ['{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"t","arguments":[]}}', -32602],
    [`{"jsonrpc":"2.0","id":1,"method":"ping","params":${'['.repeat(200)}${']'.repeat(200)}}`, -32600],
  ])('refuses %s', (text, code) => {
    expect(flaw(text).code).toBe(code);
  });

  it('says which attempts were tool calls, and echoes their id', () => {
    expect(flaw('{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"t","arguments":1}}')).toMatchObject({
      id: 1,
      tool: 't',
    });
    expect(flaw('{"jsonrpc":"2.0","id":1,"method":"tools/call"}')).toMatchObject({ id: 1, tool: '' });
    expect(flaw('{"jsonrpc":"2.0","id":1,"method":5}').tool).toBeUndefined();
  });

  it.each([
    '{"jsonrpc":"2.0","id":1,"method":"tools/list","method":"tools/call","params":{"name":"t"}}',
    '{"jsonrpc":"2.0","id":1,"method":"tools/list","m\\u0065thod":"tools/call","params":{"name":"t"}}',
    '{"jsonrpc":"2.0","id":1,"method":"tools/list","Method":"tools/call","params":{"name":"t"}}',
    '{"jsonrpc":"2.0","id":1,"result":{},"METHOD":"tools/call","params":{"name":"t"}}',
    '{"jsonrpc":"2.0","id":1,"method":"ping","param\u017f":{"name":"t"}}',
    '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","name":"b"}}',
    '{"jsonrpc":"2.0","id":1,"method":"tools/call","params" : {"name" :"a","Name":"b"}}',
    '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","arguments":{},"arguments":{}}}',
    '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a"},"params":{"name":"b"}}',
    '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","arguments":{"path":"/ok","path":"/etc"}}}',
    '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","arguments":{"x":[{"y":{}},{"z":1,"\\u007a":2}]}}}',
  ])('refuses what two parsers could read in two ways: %s', (text) => {
    expect(flaw(text)).toMatchObject({
      code: -32600,
      message: expect.stringMatching(/repeated|must be written/) as string,
    });
  });

  it('refuses what is not UTF-8', () => {
    expect(parseMessage(Buffer.from([0x22, 0xff, 0x22]))).toMatchObject({ kind: 'malformed', code: -32700 });
  });

  it('lets members repeat where they are the arguments’ own affair', () => {
    expect(
      parse(
        '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","arguments":{"name":"b","x":{"method":1}}}}',
      ).kind,
    ).toBe('call');
    expect(
      parse(
        '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","arguments":{"x":[{"y":1},{"y":1}],"X":{"y":{"y":1}}}}}',
      ).kind,
    ).toBe('call');
    expect(parse('{"jsonrpc":"2.0","id":1,"result":{"name":1,"Name":2}}').kind).toBe('response');
  });

  it('takes no longer for many members than for as many characters', () => {
    for (const open of ['{', '{"name":"a","arguments":{']) {
      const members = Array.from({ length: 100_000 }, (_, index) => `"k${index}":0`).join(',');
      const text = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":${open}${members}${'}'.repeat(open.split('{').length)}`;
      const since = performance.now();
      parse(text);
      // One by one it was a minute, in which the process answered nobody.
      expect(performance.now() - since).toBeLessThan(5_000);
    }
  });

  it('never throws, and never quotes the body', () => {
    const piece = fc.constantFrom(
      '{',
      '}',
      '[',
      ']',
      '"',
      '\\',
      ':',
      ',',
      '"method"',
      '"id"',
      '1',
      '"tools/call"',
      ' ',
      'canary',
    );
    fc.assert(
      fc.property(
        fc.oneof(
          fc.array(piece).map((parts) => parts.join('')),
          fc.string(),
        ),
        (text) => {
          const message = parse(text);
          if (message.kind === 'malformed') expect(message.message).not.toContain('canary');
        },
      ),
      { numRuns: 2_000 },
    );
  });

  it('accepts what any JSON writer makes of a call', () => {
    fc.assert(
      fc.property(
        fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 5 })),
        fc.string({ minLength: 1 }),
        fc.constantFrom(0, 1, 2),
        (input, tool, indent) => {
          const args = JSON.parse(JSON.stringify(input)) as unknown;
          const text = JSON.stringify(
            { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { arguments: args, name: tool } },
            null,
            indent,
          );
          expect(parse(text)).toEqual({ kind: 'call', id: 1, tool, input: args });
        },
      ),
    );
  });
});
