import { randomUUID } from 'node:crypto';
import { artifactSchema } from '../../src/lib/shared/artifact.ts';
import type { CliPort } from '../../src/lib/shared/cli-port.ts';
import type { RequestContext, ToolContext } from '../../src/lib/shared/mcp/context.ts';
import type { McpServerDefinition } from '../../src/lib/shared/mcp/server.ts';
import type { CliLoop } from './cli.ts';

/** The product's own CLI as an extension gets it, run in one process in a folder, as its owner. */
export function cliPortOf(loop: CliLoop, cwd: string, ran: string[][] = []): CliPort {
  return {
    manifest: () => Promise.reject(new Error('not asked for')),
    async run(words) {
      ran.push([...words]);
      const { stdout, code } = await loop.run({ argv: words, cwd });
      const said = JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as {
        ok: boolean;
        artifact?: unknown;
        error?: unknown;
      };
      if (!said.ok) return { ok: false, exitCode: code, failure: said.error as never };
      return { ok: true, exitCode: 0, artifact: artifactSchema.parse(said.artifact), lines: [] };
    },
  };
}

/** What a handler is called with; nothing of it is there but what tests give. */
export function extensionContext(more: Partial<ToolContext> = {}): ToolContext & RequestContext {
  const nothing = (): void => undefined;
  return {
    server: { name: 'test', instanceId: randomUUID() },
    request: {
      executionId: randomUUID(),
      user: { id: 'u', name: 'owner' },
      sessionId: 's',
      scopes: ['admin'],
      traceId: undefined,
    },
    logger: { debug: nothing, info: nothing, warn: nothing, error: nothing },
    signal: new AbortController().signal,
    secrets: { get: () => undefined, require: () => '' },
    progress: () => Promise.resolve(),
    ...more,
  } as unknown as ToolContext & RequestContext;
}

/** Calls a tool as its server does: what goes in and what comes out is checked. */
export async function callTool(server: McpServerDefinition, name: string, input: unknown, context: ToolContext) {
  const tool = server.tools.find((one) => one.name === name);
  if (tool === undefined) throw new Error(`There is no tool ${name}`);
  return tool.output.parse(await tool.handler(tool.input.parse(input), context)) as Record<string, unknown>;
}
