// A program on standard input and output that answers as fast as Node.js can: each call of a tool with the same result.

const results = {
  initialize: {
    protocolVersion: '2025-11-25',
    capabilities: { tools: {} },
    serverInfo: { name: 'fast', version: '1.0.0' },
  },
  ping: {},
  'tools/list': {
    tools: [{ name: 'echo', inputSchema: { type: 'object', properties: { text: { type: 'string' } } } }],
  },
  'tools/call': { content: [{ type: 'text', text: 'hello' }] },
};
const texts = new Map(Object.entries(results).map(([method, result]) => [method, JSON.stringify(result)]));
const unknown = '{"code":-32601,"message":"There is no such method."}';

let rest = '';
process.stdin
  .setEncoding('utf8')
  .on('data', (chunk) => {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop() ?? '';
    let answers = '';
    for (const line of lines) {
      if (line === '') continue;
      const { id, method } = JSON.parse(line);
      if (id === undefined || method === undefined) continue;
      const result = texts.get(method);
      answers += `{"jsonrpc":"2.0","id":${JSON.stringify(id)},${result === undefined ? `"error":${unknown}` : `"result":${result}`}}\n`;
    }
    if (answers !== '') process.stdout.write(answers);
  })
  .on('end', () => process.exit(0));
