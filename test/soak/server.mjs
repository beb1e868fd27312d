// An MCP server for the soak: two tools that write down what they run, and two processes of its own, one of them out of
// reach of signals to its group.
import { spawn } from 'node:child_process';
import { appendFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { textArtifact } from 'systemprompt';
import { defineMcpServer, defineTool } from 'systemprompt/mcp';
import { z } from 'zod';

for (const detached of [false, true])
  spawn('sleep', ['86400'], { stdio: 'ignore', detached })
    .on('error', (error) => console.error(error.message))
    .unref();

const journal = process.env.SOAK_JOURNAL;
const ran = (call) => appendFileSync(journal, `${call}\n`);

const echo = defineTool({
  name: 'echo',
  description: 'Gives back the number of the call',
  input: z.strictObject({ call: z.string() }),
  output: textArtifact,
  handler({ call }) {
    ran(call);
    return { type: 'text', content: call };
  },
});

const slow = defineTool({
  name: 'slow',
  description: 'Gives back the number of the call after a while',
  input: z.strictObject({ call: z.string(), ms: z.number() }),
  output: textArtifact,
  async handler({ call, ms }) {
    ran(call);
    await delay(ms);
    return { type: 'text', content: call };
  },
});

export const server = defineMcpServer({
  name: process.env.MCP_SERVICE_ID ?? 'soak',
  version: '1.0.0',
  description: 'For the soak',
  tools: [echo, slow],
});
