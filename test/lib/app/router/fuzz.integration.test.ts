import { connect } from 'node:net';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { openTestGateway, serverConfig, type TestGateway } from './gateway.ts';

// JSON-RPC and HTTP framing against the router. FUZZ_SECONDS makes it the long form (`npm run test:soak`).

const seconds = Number(process.env['FUZZ_SECONDS'] ?? 0);
const runs = (short: number) =>
  seconds > 0
    ? { numRuns: 1_000_000, interruptAfterTimeLimit: seconds * 500 }
    : { numRuns: short, interruptAfterTimeLimit: 2_000 };
const timeout = seconds > 0 ? seconds * 1000 + 60_000 : 30_000;
const path = '/api/v1/mcp/alpha/mcp';
let test: TestGateway;

beforeAll(async () => {
  // The limits of a fuzzed server's patience are short, so that nothing waits for what never comes.
  const limits = { body_bytes: 50_000, call_timeout_ms: 300, body_timeout_ms: 300 };
  test = await openTestGateway({ servers: [serverConfig({ breaker: undefined })], limits });
});
afterAll(() => test.close());

const tools = [
  'echo',
  'tool_error',
  'rpc_error',
  'refused_400',
  'gone_404',
  'unauthorized',
  'garbage',
  'html',
  'error_500',
  'accepted',
  'redirect',
  'half',
  'wrong_id',
  'request',
  'both',
  'no_result',
  'two_json',
  'stream',
  'stream_crlf',
  'stream_two',
  'stream_wrong_id',
  'stream_garbage',
  'stream_none',
  'stream_broken',
  '../echo',
  'a/b',
  'ec\u0000ho',
  '\u0435cho',
  '\u202eohce',
];
const name = fc.oneof(fc.constantFrom(...tools), fc.string({ unit: 'binary', maxLength: 40 }));
const id = fc.oneof(
  { weight: 5, arbitrary: fc.integer() },
  { weight: 3, arbitrary: fc.string({ unit: 'binary', maxLength: 20 }) },
  fc.constantFrom(null, true, 1e308, -0.5, [], {}),
);
const method = fc.oneof(
  { weight: 6, arbitrary: fc.constant('tools/call') },
  {
    weight: 4,
    arbitrary: fc.constantFrom(
      'tools/list',
      'initialize',
      'ping',
      'notifications/cancelled',
      'TOOLS/CALL',
      'tools/call\u0000',
    ),
  },
  fc.anything({ maxDepth: 1 }),
);
/** A message that is nearly one, or one. */
const message = fc.record(
  {
    jsonrpc: fc.oneof({ weight: 9, arbitrary: fc.constant('2.0') }, fc.constantFrom('1.0', 2, null)),
    id,
    method,
    params: fc.oneof(
      {
        weight: 6,
        arbitrary: fc.record(
          { name, arguments: fc.oneof(fc.dictionary(fc.string(), fc.jsonValue()), fc.jsonValue()) },
          { requiredKeys: ['name'] },
        ),
      },
      fc.jsonValue(),
    ),
    result: fc.jsonValue(),
    error: fc.jsonValue(),
  },
  { requiredKeys: ['jsonrpc', 'id', 'method', 'params'] },
);
/** Cut, doubled, or with a byte that does not belong there. */
const body = fc
  .tuple(
    message,
    fc.constantFrom('as it is', 'as it is', 'as it is', 'cut', 'twice', 'byte', 'duplicate', 'deep'),
    fc.nat(),
    fc.nat(255),
  )
  .map(([value, how, at, byte]) => {
    const text = Buffer.from(JSON.stringify(value) ?? '');
    const place = at % Math.max(1, text.length);
    if (how === 'cut') return text.subarray(0, place);
    if (how === 'twice') return Buffer.concat([text, text]);
    if (how === 'byte') return Buffer.concat([text.subarray(0, place), Buffer.from([byte]), text.subarray(place)]);
    if (how === 'duplicate') return Buffer.from(text.toString().replace('{', '{"method":"tools/list",'));
    if (how === 'deep') return Buffer.from(`{"jsonrpc":"2.0","id":1,"method":"x","params":${'['.repeat(at % 2000)}`);
    return text;
  });

async function isWell(): Promise<void> {
  const reply = await test.call('echo', { well: true });
  expect(reply.status).toBe(200);
  expect(test.unhandled).toEqual([]);
}

it(
  'messages of all sorts have an answer that is none of ours at fault, and each call that ran one allowed intent',
  async () => {
    const headers = fc.dictionary(
      fc.constantFrom(
        'mcp-session-id',
        'mcp-protocol-version',
        'mcp-method',
        'mcp-name',
        'last-event-id',
        'traceparent',
        'accept',
      ),
      fc.stringMatching(/^[\x21-\x7e]{1,60}$/),
    );
    await fc.assert(
      fc.asyncProperty(
        body,
        headers,
        fc.constantFrom('POST', 'POST', 'POST', 'GET', 'DELETE'),
        async (bytes, more, verb) => {
          // A stream without an end would be waited for.
          if (verb === 'GET') more['mcp-session-id'] = 'x';
          const reply = await test.send(verb === 'POST' ? bytes : '', more, verb);
          expect([200, 202, 204, 400, 404, 406, 413, 415, 502, 504]).toContain(reply.status);
        },
      ),
      runs(150),
    );
    await isWell();
    const ran = new Set(await test.executed());
    const rows = await test.rowsOf();
    const allowed = rows.filter(({ decision }) => decision === 'allowed').map(({ execution_id: each }) => each);
    expect([...ran].every((each) => allowed.includes(each))).toBe(true);
    expect(rows.filter(({ status }) => status === null)).toEqual([]);
  },
  timeout,
);

/** What a connection says until it is closed or has said enough. */
function raw(bytes: Buffer): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(test.port, '127.0.0.1');
    let text = '';
    const over = () => {
      clearTimeout(timer);
      socket.destroy();
      resolve(text);
    };
    const timer = setTimeout(over, 1500);
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1');
      if (/\r\n\r\n/.test(text)) setImmediate(over);
    });
    socket.on('error', over).on('close', over);
    socket.end(bytes);
  });
}

it(
  'framing of all sorts ends in an answer or a closed connection, and nothing is made of the rest',
  async () => {
    const call = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"smuggled":1}}}';
    const lengths = fc.constantFrom(
      `Content-Length: ${call.length}`,
      'Content-Length: 5',
      'Content-Length: 999999',
      'Content-Length: -1',
      'Content-Length: 0x10',
      'Transfer-Encoding: chunked',
      'Transfer-Encoding: gzip, chunked',
      'Transfer-Encoding : chunked',
      'Transfer-Encoding: identity',
      `Content-Length: ${call.length}\r\nContent-Length: 3`,
    );
    const line = fc.oneof(
      lengths,
      fc.constantFrom(
        'Expect: 100-continue',
        'Connection: close',
        'Upgrade: h2c',
        'Host: other',
        'X: a\r\n b',
        'X: \u0000',
        'Accept: text/html',
        `X: ${'y'.repeat(20_000)}`,
        'Authorization: Bearer x',
      ),
    );
    const payload = fc.oneof(
      fc.constantFrom(
        call,
        `${call.length.toString(16)}\r\n${call}\r\n0\r\n\r\n`,
        `fffffffff\r\n${call}`,
        `5;x=y\r\n${call}`,
        `${call}${call}`,
        '',
      ),
      fc.string({ unit: 'binary', maxLength: 200 }),
    );
    const start = fc.constantFrom(
      `POST ${path} HTTP/1.1`,
      `POST ${path} HTTP/1.0`,
      `GET ${path} HTTP/1.1`,
      `POST ${path}?x=%00 HTTP/1.1`,
      `POST /api/v1/mcp/../mcp/alpha/mcp HTTP/1.1`,
      `PRI * HTTP/2.0`,
      `POST ${path} HTTP/9.9`,
      `POST ${path}`,
      `CONNECT x:1 HTTP/1.1`,
    );
    const eol = fc.constantFrom('\r\n', '\r\n', '\r\n', '\n', '\r');
    await fc.assert(
      fc.asyncProperty(
        start,
        fc.array(line, { maxLength: 4 }),
        payload,
        eol,
        fc.boolean(),
        async (first, lines, rest, end, known) => {
          const token = known ? [`Authorization: Bearer ${test.bearer}`, 'Mcp-Session-Id: x'] : [];
          const head = [first, 'Host: localhost', 'Content-Type: application/json', ...token, ...lines].join(end);
          const text = await raw(Buffer.from(`${head}${end}${end}${rest}`, 'latin1'));
          expect(text).not.toMatch(/^HTTP\/1\.1 500/);
        },
      ),
      runs(60),
    );
    await isWell();
  },
  timeout,
);
