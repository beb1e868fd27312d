import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Identity, signIdentity } from '../../src/lib/infra/security/identity-header.ts';
import type { ServiceInstanceId, SessionId, UserId } from '../../src/lib/shared/ids.ts';
import { freePort } from './free-port.ts';

export interface McpChildOptions {
  /** Path of the extension's module. */
  readonly extension: string;
  /** Folder of the package whose dist/ is run; the project's own by default. */
  readonly packageRoot?: string;
  readonly name?: string;
  readonly root?: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** A server's process as the supervisor starts one, and the router's part of the contract beside it. */
export interface McpChild extends AsyncDisposable {
  readonly child: ChildProcess;
  readonly instanceId: ServiceInstanceId;
  /** `http://127.0.0.1:<port>` */
  readonly origin: string;
  readonly key: Uint8Array;
  /** What it wrote to standard output so far. */
  output(): string;
  /** Headers of a request that came through the router. */
  headers(identity?: Partial<Identity>, token?: string): Record<string, string>;
  /** Waits for its end. */
  exited: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
}

const project = join(import.meta.dirname, '../..');
const readyMs = 15_000;

/** An identity of `owner` with the scope `user`, good for 30 s. */
export function testIdentity(instanceId: ServiceInstanceId, more: Partial<Identity> = {}): Identity {
  const now = Math.floor(Date.now() / 1000);
  return {
    aud: instanceId,
    sub: 'user-1' as UserId,
    name: 'owner',
    sid: 'session-1' as SessionId,
    scopes: ['user'],
    iat: now,
    exp: now + 30,
    ...more,
  };
}

/** Starts the process without waiting for anything. */
export async function spawnMcpChild(options: McpChildOptions): Promise<McpChild> {
  const instanceId = randomUUID() as ServiceInstanceId;
  const key = new Uint8Array(randomBytes(32));
  const port = await freePort();
  const env = {
    PATH: process.env['PATH'] ?? '',
    MCP_SERVICE_ID: options.name ?? 'fixture',
    MCP_PORT: String(port),
    SYSTEMPROMPT_SERVICE: `mcp:${options.name ?? 'fixture'}`,
    SYSTEMPROMPT_SERVICE_INSTANCE: instanceId,
    SYSTEMPROMPT_IDENTITY_KEY: Buffer.from(key).toString('base64url'),
    SYSTEMPROMPT_EXTENSION: options.extension,
    SYSTEMPROMPT_ROOT: options.root ?? tmpdir(),
    ...options.env,
  };
  const main = join(options.packageRoot ?? project, 'dist/entry/mcp/main.js');
  const child = spawn(process.execPath, [main], { env, stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  child.stdout?.on('data', (chunk: Buffer) => {
    text += chunk.toString();
  });
  const exited = once(child, 'close').then(([code, signal]) => ({ code, signal }));
  return {
    child,
    instanceId,
    origin: `http://127.0.0.1:${port}`,
    key,
    output: () => text,
    headers: (identity, token) => ({
      'x-systemprompt-identity': signIdentity(key, testIdentity(instanceId, identity)),
      ...(token === undefined ? {} : { 'x-systemprompt-token': token }),
    }),
    exited,
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL');
      await exited;
    },
  };
}

/** Starts the process and waits until it answers its health check. */
export async function startMcpChild(options: McpChildOptions): Promise<McpChild> {
  const server = await spawnMcpChild(options);
  const deadline = performance.now() + readyMs;
  for (;;) {
    const response = await fetch(`${server.origin}/healthz`).catch(() => undefined);
    if (response?.ok === true) return server;
    if (server.child.exitCode !== null || performance.now() > deadline) {
      await server[Symbol.asyncDispose]();
      throw new Error(`The server did not become ready:\n${server.output()}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
