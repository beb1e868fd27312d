import { writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Worker } from 'node:worker_threads';
import type { Inspection } from '../../lib/app/build/inspection.ts';
import type { ToolDefinition } from '../../lib/shared/mcp/tool.ts';
import { serverFindings } from '../../lib/shared/server-findings.ts';
import { exampleFindings } from './examples.ts';

// The process in which `build mcp` loads a module to look at it: main.js <module> <file for the answer> <bytes of memory>.
// Whatever the module does, it does it here, with an environment that leads to no database, and for a bounded time.

/** Looks from a thread of its own: a module that keeps the main one busy is found out all the same. */
const watchdog = `
const { workerData } = require('node:worker_threads');
const { writeFileSync } = require('node:fs');
setInterval(() => {
  if (process.memoryUsage.rss() < workerData.bytes) return;
  writeFileSync(workerData.answer, JSON.stringify({ fault: 'memory' }));
  process.kill(process.pid, 'SIGKILL');
}, 20);
`;

async function look(module: string): Promise<Inspection> {
  let exported: { readonly server?: unknown };
  try {
    exported = await import(pathToFileURL(resolve(module)).href);
  } catch (error) {
    const failure = error instanceof Error ? error : new Error(String(error));
    return { fault: 'throws', message: `${failure.name}: ${failure.message}`, stack: failure.stack ?? '' };
  }
  const findings = serverFindings(exported.server);
  if (findings.length > 0) return { findings };
  const examples = await exampleFindings((exported.server as { readonly tools: readonly ToolDefinition[] }).tools);
  if (examples.length > 0) return { findings: examples };
  const { name, version, contract, tools } = exported.server as {
    readonly name: string;
    readonly version: string;
    readonly contract: number;
    readonly tools: readonly { readonly name: string }[];
  };
  return { server: { name, version, contract, tools: tools.map((tool) => tool.name) } };
}

const [module = '', answer = '', bytes = ''] = process.argv.slice(2);
process.setSourceMapsEnabled(true);
new Worker(watchdog, { eval: true, workerData: { answer, bytes: Number(bytes) } }).unref();
const inspection = await look(module);
writeFileSync(answer, JSON.stringify(inspection));
// What the module has opened or started must not keep us.
process.exit(0);
