import { connect } from 'node:net';
import { Writable } from 'node:stream';
import pino from 'pino';
import type { ApiDependencies } from '../../src/entry/api/dependencies.ts';
import { HttpEndpoint, type ListenOptions } from '../../src/entry/api/listen.ts';
import { createApi, requestHandler } from '../../src/entry/api/server.ts';
import { mcpAudience, resourceMetadataUrl } from '../../src/lib/app/identity.ts';
import { protectedResource, resourceServers } from '../../src/lib/app/resources.ts';
import { authenticate, challengeFor } from '../../src/lib/domain/auth/index.ts';
import { serverSection } from '../../src/lib/infra/config/profile-server.ts';
import { toAppError } from '../../src/lib/shared/errors.ts';
import { externalUrl } from './identity.ts';
import { serverConfig } from './server-config.ts';

export interface TestApi {
  readonly endpoint: HttpEndpoint;
  readonly url: string;
  /** Everything that was logged. */
  readonly log: () => string;
  close(): Promise<void>;
}

const servers = [serverConfig({ name: 'alpha', displayName: 'Alpha', oauth: { required: true, scopes: ['user'] } })];
const resources = resourceServers(servers, { externalUrl, maxTtlSeconds: 3600 });

/** The API in this process on a free port; its MCP handler signs the caller in and says who it was. */
export async function startTestApi(
  verifier: ApiDependencies['verifier'],
  change: Partial<ApiDependencies> = {},
  listen: Partial<ListenOptions> = {},
): Promise<TestApi> {
  const lines: string[] = [];
  const sink = new Writable({
    write: (chunk, _encoding, done) => {
      lines.push(String(chunk));
      done();
    },
  });
  let endpoint: HttpEndpoint | undefined;
  const deps: ApiDependencies = {
    instanceId: '00000000-0000-4000-8000-000000000001',
    version: '9.9.9',
    externalUrl,
    issuer: externalUrl,
    web: {
      corsAllowedOrigins: [],
      otherAddresses: [],
      securityHeaders: serverSection.parse({}).security_headers,
    },
    rateLimiter: undefined,
    telemetry: undefined,
    logger: pino({ level: 'trace' }, sink),
    verifier,
    resources,
    circuits: () => ({ alpha: 'open' }),
    registry: (details) => [
      {
        name: 'alpha',
        display_name: 'Alpha',
        description: 'Test',
        kind: 'internal',
        server_json: `${externalUrl}/api/v1/mcp/alpha/server.json`,
        endpoint: mcpAudience(externalUrl, 'alpha'),
        oauth: {
          required: true,
          scopes: ['user'],
          resource_metadata: resourceMetadataUrl(mcpAudience(externalUrl, 'alpha')),
        },
        ...(details ? { status: 'ready', port: 5000 } : {}),
      },
    ],
    mcp: { handle: (...exchange) => whoAreYou(verifier, ...exchange) },
    oauth: undefined,
    serviceEvents: { position: async () => 0, follow: async function* () {} },
    readiness: {},
    draining: () => endpoint?.draining ?? false,
    ...change,
  };
  const app = await createApi(deps);
  const listening = await HttpEndpoint.listen(requestHandler(app, deps), {
    host: 'localhost',
    port: 0,
    ...listen,
  });
  endpoint = listening;
  return {
    endpoint: listening,
    url: `http://127.0.0.1:${listening.port}`,
    log: () => lines.join(''),
    close: async () => {
      await listening.drain({ deadlineMs: 500 });
      await app.close();
    },
  };
}

const whoAreYou = async (
  verifier: ApiDependencies['verifier'],
  ...[request, response, server, headers]: Parameters<ApiDependencies['mcp']['handle']>
): Promise<void> => {
  const audience = mcpAudience(externalUrl, server);
  try {
    const claims = await authenticate(verifier, request, audience);
    let bytes = 0;
    for await (const chunk of request) bytes += (chunk as Buffer).length;
    response
      .writeHead(200, { ...headers, 'content-type': 'application/json' })
      .end(JSON.stringify({ user: claims.name, bytes }));
  } catch (thrown) {
    const found = resources.byName(server);
    if (found === undefined) throw thrown;
    const resource = protectedResource(found);
    const challenge = challengeFor(toAppError(thrown), resource);
    if (challenge === undefined) throw thrown;
    response.writeHead(challenge.status, { ...headers, 'www-authenticate': challenge.header }).end();
  }
};

/** Sends bytes as they are and gives back all that came until the other side closed. */
export function sendRaw(port: number, text: string | Uint8Array): Promise<string> {
  return new Promise((done, fail) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(text));
    let received = '';
    socket.setEncoding('latin1').on('data', (chunk: string) => {
      received += chunk;
    });
    socket.on('close', () => done(received)).on('error', fail);
  });
}
