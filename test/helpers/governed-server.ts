import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createGuard } from '../../src/entry/api/guard.ts';
import { deriveIdentityKey } from '../../src/lib/infra/security/identity-header.ts';
import type { ServiceInstanceId } from '../../src/lib/shared/ids.ts';
import { withToken } from '../conformance/with-token.ts';
import { openTestGateway, type TestGateway } from '../lib/app/router/gateway.ts';
import { type BridgeRig, type BridgeRigOptions, bridgeRig } from './bridge-rig.ts';
import { runFixture } from './run-fixture.ts';

/** A server behind the bridge and the router, and where clients reach it that bring no token of their own. */
export interface GovernedServer extends AsyncDisposable {
  readonly url: URL;
  readonly gateway: TestGateway;
  readonly bridge: BridgeRig;
}

/** The way of every call, in this process: Host and Origin, token, router, audit, bridge, and what stands behind it. */
export async function governedServer(
  options: BridgeRigOptions,
  more: Parameters<typeof openTestGateway>[0] = {},
): Promise<GovernedServer> {
  const gateway = await openTestGateway(more);
  const instanceId = randomUUID() as ServiceInstanceId;
  const root = Buffer.from(gateway.identityRoot, 'base64url');
  const bridge = await bridgeRig({ ...options, door: { instanceId, key: deriveIdentityKey(root, instanceId) } });
  const port = Number(new URL(bridge.origin).port);
  gateway.endpoints.set('mcp:alpha', { name: 'mcp:alpha', port, instanceId, state: 'ready', serving: true });
  const guard = createGuard(['http://localhost:1']);
  const front = createServer((req, res) => {
    const refusal = guard({ rawHeaders: req.rawHeaders, localPort: req.socket.localPort, encrypted: false });
    if (refusal !== undefined) res.writeHead(refusal.status).end();
    else void gateway.gateway.router.handle(req, res, 'alpha');
  });
  front.listen(0, '127.0.0.1');
  await once(front, 'listening');
  const target = new URL(`http://localhost:${(front.address() as AddressInfo).port}/api/v1/mcp/alpha/mcp`);
  const shim = await withToken(target, gateway.bearer);
  return {
    url: new URL(shim.url),
    gateway,
    bridge,
    async [Symbol.asyncDispose]() {
      await shim[Symbol.asyncDispose]();
      front.closeAllConnections();
      front.close();
      await bridge[Symbol.asyncDispose]();
      await gateway.close();
    },
  };
}

export type Eras = 'dual' | 'legacy' | 'modern';

/** The server that has all that the conformance tool asks for, elsewhere: over HTTP, in these eras. */
export async function everythingElsewhere(eras: Eras): Promise<{ readonly endpoint: string } & AsyncDisposable> {
  const program = runFixture('mcp/everything.mjs', [eras, 'http']);
  const port = Number(await program.line());
  return {
    endpoint: `http://127.0.0.1:${port}/mcp`,
    async [Symbol.asyncDispose]() {
      program.process.stdin?.end();
      await program.ended();
    },
  };
}

/** Settings of a server elsewhere on this machine. */
export function elsewhere(endpoint: string, transport: 'auto' | 'streamable-http' | 'sse' = 'auto') {
  return { endpoint, transport, privateNetwork: true, auth: { type: 'none' } };
}
