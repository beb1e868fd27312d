import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { expect } from 'vitest';
import type { Identity } from '../../src/lib/infra/security/identity-header.ts';
import { type CliPackage, createCliPackage } from './cli-package.ts';
import { type McpChild, startMcpChild } from './mcp-child.ts';

export interface Answer {
  readonly isError?: boolean;
  readonly content: readonly { readonly text: string }[];
  readonly structuredContent?: Record<string, unknown>;
  readonly _meta?: { readonly 'systemprompt/error'?: Failure };
}

export interface Failure {
  readonly code: string;
  readonly message: string;
  readonly hint?: string;
  readonly next: readonly string[];
}

/** The token that the router hands on; it may turn up on the command's descriptor and nowhere else. */
export const callerToken = 'canary-token-of-the-caller';

/** The `systemprompt` server in a process of its own, over the fixture's CLI, and official clients to it. */
export class SystempromptTool implements AsyncDisposable {
  readonly cli: CliPackage;
  readonly server: McpChild;
  /** Root of the instance: where commands run. */
  readonly folder: string;

  private constructor(cli: CliPackage, server: McpChild, folder: string) {
    this.cli = cli;
    this.server = server;
    this.folder = folder;
  }

  static async start(): Promise<SystempromptTool> {
    const folder = mkdtempSync(join(tmpdir(), 'systemprompt-tool-'));
    const cli = await createCliPackage({ built: true });
    const env = { DATABASE_URL: 'postgres://canary-database', SYSTEMPROMPT_PROFILE: 'local' };
    const server = await startMcpChild({ ...what(cli), name: 'systemprompt', root: folder, env });
    return new SystempromptTool(cli, server, folder);
  }

  /** Another process of the same server. */
  another(env: Readonly<Record<string, string>>): Promise<McpChild> {
    return startMcpChild({ ...what(this.cli), env });
  }

  /** A client whose requests come as if through the router; it has listed the tools, and so checks answers by their schemas. */
  async connect(identity: Partial<Identity> = {}, { from = this.server, delegated = true } = {}): Promise<Client> {
    const client = new Client({ name: 'test', version: '1' });
    const routed: typeof fetch = (input, init) => {
      const headers = new Headers(init?.headers);
      const given = from.headers(identity, delegated ? callerToken : undefined);
      for (const [name, value] of Object.entries(given)) headers.set(name, value);
      return fetch(input, { ...init, headers });
    };
    const transport = new StreamableHTTPClientTransport(new URL(`${from.origin}/mcp`), { fetch: routed });
    await client.connect(transport as never);
    await client.listTools();
    return client;
  }

  /** One call by a client of its own. */
  async ask(
    input: object,
    identity: Partial<Identity> = {},
    { tool = 'systemprompt', from = this.server, delegated = true } = {},
  ): Promise<Answer> {
    const client = await this.connect(identity, { from, delegated });
    try {
      return (await client.callTool({ name: tool, arguments: { ...input } })) as unknown as Answer;
    } finally {
      await client.close();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server[Symbol.asyncDispose]();
    this.cli[Symbol.dispose]();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** What an answer says went wrong; it must have gone wrong. */
export function failure(answer: Answer): Failure | undefined {
  expect(answer.isError).toBe(true);
  return answer._meta?.['systemprompt/error'];
}

function what(cli: CliPackage) {
  return { packageRoot: cli.root, extension: join(cli.root, 'dist/extensions/mcp/systemprompt/index.js') };
}
