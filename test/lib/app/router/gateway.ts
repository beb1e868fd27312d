import { randomBytes, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type IncomingHttpHeaders, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { ToolCatalogue } from '../../../../src/lib/app/catalogue/catalogue.ts';
import { mcpAudience } from '../../../../src/lib/app/identity.ts';
import type { RateLimiter } from '../../../../src/lib/app/rate-limits.ts';
import { type McpWay, openMcpGateway } from '../../../../src/lib/app/router/index.ts';
import type { McpGatewayOptions } from '../../../../src/lib/app/router/open.ts';
import type { ServiceEndpoint } from '../../../../src/lib/app/supervisor/directory.ts';
import { UpstreamCredentials } from '../../../../src/lib/app/upstream/credentials.ts';
import type { IssueRequest } from '../../../../src/lib/domain/auth/index.ts';
import type { McpServerConfig } from '../../../../src/lib/domain/mcp/index.ts';
import { createLogger } from '../../../../src/lib/infra/logging/logger.ts';
import { probeSocketOf } from '../../../../src/lib/infra/process/probe-socket.ts';
import { toAppError } from '../../../../src/lib/shared/errors.ts';
import type { ServiceInstanceId } from '../../../../src/lib/shared/ids.ts';
import { externalUrl, openTestIdentity, type TestIdentity } from '../../../helpers/identity.ts';
import { runFixture } from '../../../helpers/run-fixture.ts';
import { serverConfig } from '../../../helpers/server-config.ts';
import { temporaryFolder } from '../../../helpers/temporary-folder.ts';
import { until } from '../../../helpers/until.ts';

/** What the backend program says it was sent. */
export interface Seen {
  readonly requests: readonly {
    readonly method: string;
    readonly url: string;
    readonly headers: IncomingHttpHeaders;
    readonly body: string;
  }[];
  readonly aborted: number;
  readonly openStreams: number;
  /** Bytes that it has written of large answers so far. */
  readonly poured: number;
}

export interface Reply {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  /** The body as JSON. */
  readonly json: {
    id?: unknown;
    result?: { content?: { text?: string }[] };
    error?: { code: number; message: string; data: Record<string, unknown> };
  };
}

export interface AuditRow {
  readonly execution_id: string;
  readonly tool: string;
  readonly decision: string;
  readonly status: string | null;
  readonly error: string | null;
  readonly input: unknown;
  readonly input_digest: string;
  readonly policy: { said: { by: string; verdict: string; reason?: string }[] } & Record<string, unknown>;
  readonly answer_policy: AuditRow['policy'] | null;
  readonly trace_id: string | null;
  readonly required: string[];
  readonly user_name: string;
  readonly output_bytes: number | null;
  readonly output_digest: string | null;
  readonly latency_us: number | null;
  readonly upstream_us: number | null;
}

export { serverConfig };

export type TestGateway = Awaited<ReturnType<typeof openTestGateway>>;

/** The router in this process over real PostgreSQL, real tokens and a backend program of its own. */
export async function openTestGateway(
  options: {
    servers?: readonly McpServerConfig[];
    limits?: Partial<McpGatewayOptions['limits']>;
    rateLimiter?: RateLimiter;
    allowances?: McpGatewayOptions['allowances'];
    metrics?: McpGatewayOptions['metrics'];
    tracer?: McpGatewayOptions['tracer'];
    /** With a catalogue of the servers' tools. */
    catalogued?: boolean;
    /** Ports of servers that are not the backend program. */
    ports?: Readonly<Record<string, number>>;
    policy?: (
      at: Pick<TestIdentity, 'identity' | 'database'>,
      servers: readonly McpServerConfig[],
    ) => Promise<Pick<McpGatewayOptions, 'policy' | 'approvals' | 'artifacts'>>;
    /** With what servers behind want of us and of users. */
    credentialed?: boolean;
    proxies?: (test: TestIdentity, servers: readonly McpServerConfig[]) => Promise<McpGatewayOptions['proxies']>;
  } = {},
) {
  const servers = options.servers ?? [serverConfig()];
  const test: TestIdentity = await openTestIdentity(externalUrl, servers);
  const backend = runFixture('mcp/backend.mjs', []);
  const backendPort = Number(await backend.line());
  const endpoints = new Map<string, ServiceEndpoint>();
  for (const { name, kind } of servers) {
    if (kind === 'virtual') continue;
    const instanceId = randomUUID() as ServiceInstanceId;
    endpoints.set(`mcp:${name}`, {
      name: `mcp:${name}`,
      port: options.ports?.[name] ?? backendPort,
      instanceId,
      state: 'ready',
      serving: true,
    });
  }
  const refresh = { now: (): void => {} };
  const folder = await temporaryFolder();
  const logFile = join(folder.path, 'api.log');
  const apiInstance = randomUUID();
  const identityRoot = randomBytes(32).toString('base64url');
  const unhandled: unknown[] = [];
  const proxies = await options.proxies?.(test, servers);
  const log = createLogger({ service: 'api', level: 'trace', destination: logFile });
  const changes = new Set<() => void>();
  const open = async ({ identity, database }: Pick<TestIdentity, 'identity' | 'database'>, instance: string) => {
    const catalogue = options.catalogued ? await ToolCatalogue.open({ database, servers, log }) : undefined;
    const credentials = options.credentialed
      ? await UpstreamCredentials.open({ servers, database, secrets: test.secrets, externalUrl })
      : undefined;
    const gateway = openMcpGateway({
      servers,
      catalogue,
      credentials,
      identity,
      directory: {
        endpoint: (name) => endpoints.get(name),
        refresh: async () => refresh.now(),
        onChange: (listener) => {
          changes.add(listener);
          return () => changes.delete(listener);
        },
      },
      audit: test.testDatabase.audit,
      identityRoot,
      apiInstance: instance,
      limits: { body_bytes: 10 * 1024 * 1024, call_timeout_ms: 5_000, ...options.limits },
      rateLimiter: options.rateLimiter,
      ...(options.allowances === undefined ? {} : { allowances: options.allowances }),
      database,
      peerSockets: folder.path,
      proxies,
      ...(await options.policy?.({ identity, database }, servers)),
      metrics: options.metrics,
      tracer: options.tracer,
      log,
    });
    const server = createServer((req, res) => {
      const [, name = '', way] = /^\/api\/v1\/mcp\/([^/]+)\/(mcp|sse|messages)/.exec(req.url ?? '') ?? [];
      gateway.router.handle(req, res, name, {}, way as McpWay).catch((error: unknown) => {
        const known = toAppError(error);
        if (known.code !== 'NOT_FOUND') unhandled.push(error);
        res.writeHead(known.code === 'NOT_FOUND' ? 404 : 500).end();
      });
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const own = createServer((req, res) => server.emit('request', req, res));
    own.listen(probeSocketOf(folder.path, instance as ServiceInstanceId));
    await once(own, 'listening');
    server.once('close', () => own.close());
    await until('the audit is connected', () => {
      try {
        gateway.assertReady();
        return true;
      } catch {
        return false;
      }
    });
    return { gateway, catalogue, credentials, server, port };
  };
  const { gateway, catalogue, credentials, server, port } = await open(test, apiInstance);
  const owner = await test.identity.users.ensureOwner();
  const session = await test.identity.sessions.begin({ userId: owner.id, client: 'test', ttlSeconds: 3_600 });
  const token = async (change: Partial<IssueRequest> & { server?: string } = {}) => {
    const { server: name = 'alpha', ...more } = change;
    const audience = mcpAudience(externalUrl, name);
    const request_ = {
      user: owner,
      sessionId: session.id,
      audience,
      scopes: ['user'],
      ttlSeconds: 600,
      client: 'test',
      ...more,
    };
    return (await test.identity.issuer.issue(request_)).token;
  };
  const bearer = await token();
  let nextId = 1;

  const send = (
    body: string | Buffer,
    headers: Record<string, string> = {},
    method = 'POST',
    path = '/api/v1/mcp/alpha/mcp',
    at = port,
  ) =>
    new Promise<Reply>((resolve, reject) => {
      const req = request({
        host: '127.0.0.1',
        port: at,
        path,
        method,
        headers: {
          authorization: `Bearer ${bearer}`,
          'content-type': 'application/json',
          accept: 'application/json, text/event-stream',
          ...headers,
        },
      });
      req.on('response', (res) => {
        const chunks: Buffer[] = [];
        res.on('data', (chunk: Buffer) => chunks.push(chunk));
        res.on('error', reject);
        res.on('end', () => {
          const text = Buffer.concat(chunks).toString();
          resolve({ status: res.statusCode ?? 0, headers: res.headers, body: text, json: parse(text) });
        });
      });
      req.on('error', reject);
      req.end(body);
    });

  const rowsOf = async (executionId?: string): Promise<AuditRow[]> =>
    test.database.query<AuditRow>(
      `SELECT i.*, o.status, o.error, o.output_bytes, o.output_digest, o.latency_us, o.upstream_us,
         o.policy AS answer_policy
       FROM audit.tool_intents i LEFT JOIN audit.tool_outcomes o USING (execution_id)
       WHERE $1::uuid IS NULL OR execution_id = $1 ORDER BY execution_id`,
      [executionId ?? null],
    );

  return {
    ...test,
    gateway,
    catalogue,
    /** The directory was read again. */
    announce: () => {
      for (const change of changes) change();
    },
    port,
    user: owner,
    session,
    bearer,
    token,
    send,
    endpoints,
    /** `now` is called when the router reads the directory again. */
    refresh,
    backend,
    backendPort,
    apiInstance,
    identityRoot,
    unhandled,
    log: () => readFileSync(logFile, 'utf8'),
    /** Another API process: the same database and secrets, a memory and a port of its own. */
    another: async () => {
      const view = await test.openAnother();
      const opened = await open(view, randomUUID());
      return {
        ...opened,
        close: async () => {
          await opened.gateway.close(100);
          await opened.catalogue?.close();
          await opened.credentials?.close();
          opened.server.closeAllConnections();
          opened.server.close();
          await view.close();
        },
      };
    },
    /** Calls a tool; `args` as they are. */
    call: (tool: string, args: unknown = {}, headers: Record<string, string> = {}, id: unknown = nextId++) =>
      send(
        JSON.stringify({ jsonrpc: '2.0', id, method: 'tools/call', params: { name: tool, arguments: args } }),
        headers,
      ),
    rowsOf,
    /** The row of the call that a reply belongs to. */
    rowOf: async (reply: Reply): Promise<AuditRow> => {
      const id = reply.headers['x-systemprompt-execution-id'];
      if (typeof id !== 'string') throw new Error(`no execution id: ${reply.status} ${reply.body}`);
      const [row] = await rowsOf(id);
      if (row === undefined) throw new Error('no row');
      return row;
    },
    /** Everything in every table, as text. */
    dump: async (): Promise<string> => {
      const tables = await test.owner.query<{ name: string }>(
        "SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables WHERE schemaname IN ('public', 'audit', 'mcp')",
      );
      const contents = await Promise.all(
        tables.map(({ name }) => test.owner.query(`SELECT to_json(t) AS row FROM ${name} t`)),
      );
      return JSON.stringify(contents);
    },
    seen: async (): Promise<Seen> => (await fetch(`http://127.0.0.1:${backendPort}/seen`)).json() as Promise<Seen>,
    executed: async (): Promise<string[]> =>
      (await fetch(`http://127.0.0.1:${backendPort}/executed`)).json() as Promise<string[]>,
    connections: () =>
      new Promise<number>((resolve, reject) =>
        server.getConnections((error, count) => (error ? reject(error) : resolve(count))),
      ),
    close: async () => {
      await gateway.close(500);
      await catalogue?.close();
      await credentials?.close();
      server.closeAllConnections();
      server.close();
      backend.process.stdin?.end();
      await backend.ended();
      await test.close();
      await folder[Symbol.asyncDispose]();
    },
  };
}

function parse(text: string): Reply['json'] {
  const data = text.startsWith('{') ? text : (text.split('data: ').at(-1) ?? '{}');
  try {
    return JSON.parse(data) as Reply['json'];
  } catch {
    return {};
  }
}
