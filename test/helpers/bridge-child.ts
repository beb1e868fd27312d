import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { signIdentity } from '../../src/lib/infra/security/identity-header.ts';
import type { ServiceInstanceId } from '../../src/lib/shared/ids.ts';
import { freePort } from './free-port.ts';
import { testIdentity } from './mcp-child.ts';

const project = join(import.meta.dirname, '../..');

export interface BridgeChild extends AsyncDisposable {
  readonly child: ChildProcess;
  readonly origin: string;
  readonly installationId: string;
  readonly instanceId: ServiceInstanceId;
  readonly exited: Promise<number | null>;
  /** What it wrote to standard output so far. */
  output(): string;
  headers(): Record<string, string>;
}

/** A bridge's process as the supervisor starts one: leader of its own group, with the markers of its installation. */
export async function startBridgeChild(
  settings: object,
  more: Readonly<Record<string, string>> = {},
): Promise<BridgeChild> {
  const instanceId = randomUUID() as ServiceInstanceId;
  const installationId = randomUUID();
  const key = new Uint8Array(randomBytes(32));
  const port = await freePort();
  const env = {
    PATH: process.env['PATH'] ?? '',
    MCP_SERVICE_ID: 'fixture',
    MCP_PORT: String(port),
    SYSTEMPROMPT_ROOT: tmpdir(),
    SYSTEMPROMPT_PROFILE: 'local',
    SYSTEMPROMPT_INSTANCE: installationId,
    SYSTEMPROMPT_SERVICE: 'mcp:fixture',
    SYSTEMPROMPT_SERVICE_INSTANCE: instanceId,
    SYSTEMPROMPT_IDENTITY_KEY: Buffer.from(key).toString('base64url'),
    SYSTEMPROMPT_BRIDGE: JSON.stringify(settings),
    ...more,
  };
  const child = spawn(process.execPath, [join(project, 'dist/entry/bridge/main.js')], {
    env,
    detached: true,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let text = '';
  child.stdout?.on('data', (chunk: Buffer) => {
    text += chunk.toString();
  });
  const exited = once(child, 'exit').then(([code]) => code as number | null);
  const origin = `http://127.0.0.1:${port}`;
  const deadline = performance.now() + 20_000;
  while ((await fetch(`${origin}/healthz`).catch(() => undefined))?.ok !== true) {
    if (child.exitCode !== null || performance.now() > deadline) {
      child.kill('SIGKILL');
      throw new Error(`The bridge did not become ready:\n${text}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return {
    child,
    origin,
    installationId,
    instanceId,
    exited,
    output: () => text,
    headers: () => ({
      'x-systemprompt-identity': signIdentity(key, testIdentity(instanceId)),
      accept: 'application/json, text/event-stream',
      'content-type': 'application/json',
    }),
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL');
      await exited;
    },
  };
}
