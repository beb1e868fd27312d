import { randomBytes, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { childEnvironment } from '../../src/lib/app/bridge/child-environment.ts';
import { encodeCredentials } from '../../src/lib/app/bridge/credentials.ts';
import { translate } from '../../src/lib/app/bridge/eras/translate.ts';
import { makeFactory } from '../../src/lib/app/bridge/factory.ts';
import { createFront } from '../../src/lib/app/bridge/front.ts';
import { BridgeService } from '../../src/lib/app/bridge/service.ts';
import type { ServiceOptions } from '../../src/lib/app/bridge/service-options.ts';
import type { BridgeSettings } from '../../src/lib/app/bridge/settings.ts';
import { KnownSecrets } from '../../src/lib/infra/logging/known-secrets.ts';
import { createLogger } from '../../src/lib/infra/logging/logger.ts';
import { Vitals } from '../../src/lib/infra/process/vitals.ts';
import { type Identity, signIdentity } from '../../src/lib/infra/security/identity-header.ts';
import type { ServiceInstanceId } from '../../src/lib/shared/ids.ts';
import { testIdentity } from './mcp-child.ts';

const responder = join(import.meta.dirname, '../fixtures/bridge/responder.mjs');

export interface BridgeRigOptions extends Partial<Omit<ServiceOptions, 'factory' | 'translate' | 'logger'>> {
  /** Arguments of the responder. */
  readonly args?: readonly string[];
  readonly program?: string;
  readonly kind?: BridgeSettings['kind'];
  readonly env?: Readonly<Record<string, string>>;
  readonly startTimeoutMs?: number;
  readonly maxMessageBytes?: number;
  /** Of a server that runs elsewhere. */
  readonly external?: BridgeSettings['external'];
  /** Which run of the server it is, and the key by which it knows the router; its own unless told. */
  readonly door?: { readonly instanceId: ServiceInstanceId; readonly key: Uint8Array };
}

export type Answer = Record<string, unknown> & {
  readonly id?: unknown;
  readonly result?: Record<string, unknown>;
  readonly error?: { readonly code: number; readonly message: string; readonly data?: Record<string, unknown> };
};

/** A client of the bridge, as the router is one. */
export interface RigCall {
  readonly identity?: Partial<Identity>;
  readonly session?: string | undefined;
  readonly upstream?: Parameters<typeof encodeCredentials>[0];
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

/** A bridge in this process, before real programs. */
export interface BridgeRig extends AsyncDisposable {
  readonly origin: string;
  readonly service: BridgeService;
  readonly installationId: string;
  /** What the router would put on a request. */
  headers(call?: RigCall): Record<string, string>;
  send(message: object, call?: RigCall): Promise<Response>;
  /** Sends and reads the answer, be it JSON or the last event of a stream. */
  ask(message: object, call?: RigCall): Promise<Answer>;
  call(tool: string, args?: object, call?: RigCall): Promise<Answer>;
  initialize(capabilities?: object, call?: RigCall): Promise<string>;
  request(method: 'GET' | 'DELETE', call?: RigCall): Promise<Response>;
}

/** Starts the front on a port of its own; instances are started as they are needed. */
export async function bridgeRig(options: BridgeRigOptions = {}): Promise<BridgeRig> {
  const instanceId = options.door?.instanceId ?? (randomUUID() as ServiceInstanceId);
  const installationId = randomUUID();
  const key = options.door?.key ?? new Uint8Array(randomBytes(32));
  const logger = createLogger({ service: 'mcp:rig', level: process.env['RIG_LOG'] ?? 'silent' });
  const env = {
    PATH: process.env['PATH'],
    SYSTEMPROMPT_INSTANCE: installationId,
    SYSTEMPROMPT_SERVICE: 'mcp:rig',
    SYSTEMPROMPT_SERVICE_INSTANCE: instanceId,
    SYSTEMPROMPT_IDENTITY_KEY: Buffer.from(key).toString('base64url'),
    ...options.env,
  };
  const kind = options.kind ?? (options.external === undefined ? 'stdio' : 'external');
  const making = await makeFactory({
    settings: {
      kind,
      command: {
        program: options.program ?? process.execPath,
        args: options.program === undefined ? [responder, ...(options.args ?? [])] : [...(options.args ?? [])],
        cwd: import.meta.dirname,
      },
      process: {
        instances: options.instances ?? 'shared',
        idleStopMs: options.idleStopMs ?? 0,
        startTimeoutMs: options.startTimeoutMs ?? 15_000,
        userVariables: [],
      },
      ...(options.external === undefined ? {} : { external: options.external }),
      variables: Object.keys(options.env ?? {}),
    },
    childEnv: childEnvironment(env, [...Object.keys(options.env ?? {}), 'SYSTEMPROMPT_IDENTITY_KEY']),
    version: '1.0.0',
    maxMessageBytes: options.maxMessageBytes ?? 10 * 1024 * 1024,
    ownIdentity: () => signIdentity(key, testIdentity(instanceId)),
    logger,
    secrets: new KnownSecrets(),
  });
  const service = new BridgeService({
    translate,
    instanceLimit: 50,
    sessionLimit: 1_000,
    sessionIdleMs: 60_000,
    keepAliveMs: 30_000,
    logger,
    ...options,
    ...making,
  });
  const vitals = new Vitals();
  const server = createFront({
    key: { identityKey: key, instanceId },
    service,
    logger,
    vitals,
    readiness: async () => undefined,
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  let last = 0;
  const headers = (call: RigCall): Record<string, string> => ({
    'x-systemprompt-identity': signIdentity(key, testIdentity(instanceId, call.identity)),
    accept: 'application/json, text/event-stream',
    ...(call.session === undefined ? {} : { 'mcp-session-id': call.session }),
    ...(call.upstream === undefined ? {} : { 'x-systemprompt-upstream': encodeCredentials(call.upstream) }),
    ...call.headers,
  });
  const rig: BridgeRig = {
    origin,
    service,
    installationId,
    headers: (call = {}) => headers(call),
    send: (message, call = {}) =>
      fetch(`${origin}/mcp`, {
        method: 'POST',
        headers: { ...headers(call), 'content-type': 'application/json' },
        body: JSON.stringify({ jsonrpc: '2.0', ...message }),
        ...(call.signal === undefined ? {} : { signal: call.signal }),
      }),
    async ask(message, call) {
      return (await messagesOf(await rig.send(message, call))).at(-1) ?? {};
    },
    async call(tool, args = {}, call) {
      last += 1;
      return await rig.ask({ id: last, method: 'tools/call', params: { name: tool, arguments: args } }, call);
    },
    async initialize(capabilities = {}, call) {
      const params = { protocolVersion: '2025-11-25', capabilities, clientInfo: { name: 'test', version: '1' } };
      const response = await rig.send({ id: 0, method: 'initialize', params }, call);
      const session = response.headers.get('mcp-session-id');
      const body = await response.text();
      if (session === null) throw new Error(`no session: ${body}`);
      await rig.send({ method: 'notifications/initialized' }, { ...call, session });
      return session;
    },
    request: (method, call = {}) =>
      fetch(`${origin}/mcp`, {
        method,
        headers: { ...headers(call), accept: 'text/event-stream' },
        ...(call.signal === undefined ? {} : { signal: call.signal }),
      }),
    async [Symbol.asyncDispose]() {
      await service.close();
      server.closeAllConnections();
      server.close();
      vitals.close();
    },
  };
  if (making.resident !== undefined) await service.pool.acquire({ kind: 'shared' }, {});
  return rig;
}

/** The messages of a response in their order. */
export async function messagesOf(response: Response): Promise<Answer[]> {
  const body = await response.text();
  if (response.headers.get('content-type') !== 'text/event-stream') return body === '' ? [] : [JSON.parse(body)];
  return body.split('\n').flatMap((line) => (line.startsWith('data: ') ? [JSON.parse(line.slice(6)) as Answer] : []));
}

/** The text of a tool's result. */
export function textOf(answer: Answer): string {
  const content = answer.result?.['content'] as readonly { readonly text: string }[] | undefined;
  return content?.[0]?.text ?? JSON.stringify(answer);
}
