import { createSecretKey, randomBytes, randomUUID } from 'node:crypto';
import { Pool } from 'undici';
import { mcpAudience } from '../../src/lib/app/identity.ts';
import { parseMessage } from '../../src/lib/app/router/jsonrpc.ts';
import { judge } from '../../src/lib/app/router/verdict.ts';
import { AuditWriter, auditInput, newExecutionId } from '../../src/lib/domain/governance/index.ts';
import { connectionFor } from '../../src/lib/infra/database/connections.ts';
import { openDedicated } from '../../src/lib/infra/database/dedicated.ts';
import { deriveIdentityKey, signIdentity } from '../../src/lib/infra/security/identity-header.ts';
import type { ServiceInstanceId } from '../../src/lib/shared/ids.ts';
import type { ApiRig } from '../../test/helpers/api-rig.ts';
import { until } from '../../test/helpers/until.ts';
import { measureLayers } from './layers.ts';
import { type Step, time } from './timing.ts';

/** What each step and layer of a call costs by itself, measured one after another in this process. */
export async function measureSteps(rig: ApiRig, body: string, token: string, backendPort: number): Promise<Step[]> {
  const bytes = Buffer.from(body);
  const audience = mcpAudience(rig.profile.server.external_url, 'bare');
  const claims = await rig.identity.verifier.verify(token, audience);
  const message = parseMessage(bytes);
  if (message.kind !== 'call') throw new Error('not a call');
  const instanceId = randomUUID() as ServiceInstanceId;
  const key = createSecretKey(deriveIdentityKey(randomBytes(32), instanceId));
  const now = Math.floor(Date.now() / 1_000);
  const { instance, secrets } = rig.embedded;
  const config = await connectionFor(instance, rig.profile, secrets, 'audit');
  const audit = new AuditWriter({
    connect: () => openDedicated(config, { applicationName: 'bench', connectTimeoutMs: 2_000 }),
    instance: randomUUID(),
    log: { warn: () => {}, error: () => {} },
  });
  await until('the audit is connected', () => audit.available);
  const pool = new Pool(`http://127.0.0.1:${backendPort}`);
  const answer = '{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"hello"}]}}';
  const intent = () => ({
    executionId: newExecutionId(),
    server: 'bare',
    tool: message.tool,
    userId: claims.sub,
    userName: claims.name,
    sessionId: claims.sid,
    client: claims.client,
    scopes: claims.scopes,
    required: ['user'],
    ...inputOf(),
    decision: 'allowed' as const,
    startedAt: Date.now(),
  });
  const inputOf = () => {
    const { digest, json } = auditInput(message.input);
    return { inputDigest: digest, inputJson: json };
  };
  const ids = Array.from({ length: 4_000 }, () => newExecutionId());
  try {
    return [
      await time('verify the token (remembered)', 20_000, () => rig.identity.verifier.verify(token, audience)),
      await time('parse and check the message', 20_000, () => parseMessage(bytes)),
      await time('canonical input, digest, redaction', 20_000, () => auditInput(message.input)),
      await time('sign the identity', 20_000, () =>
        signIdentity(key, {
          aud: instanceId,
          sub: claims.sub,
          name: claims.name,
          sid: claims.sid,
          scopes: claims.scopes,
          exec: newExecutionId(),
          iat: now,
          exp: now + 60,
        }),
      ),
      await time('read and judge the answer', 20_000, () => judge(answer, 1)),
      await time('commit the intent', 2_000, () => audit.intent(intent())),
      await time('send the call and take the answer', 3_000, () => dispatch(pool, bytes)),
      await time('commit the outcome', 2_000, () =>
        audit.outcome({ executionId: ids.pop() ?? newExecutionId(), status: 'success', latencyUs: 1, upstreamUs: 1 }),
      ),
      ...(await measureLayers(rig.database, claims)),
    ];
  } finally {
    await audit.close();
    await pool.close();
  }
}

function dispatch(pool: Pool, body: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    const headers = ['content-type', 'application/json'];
    const handler = {
      onRequestStart: () => {},
      onResponseStart: () => {},
      onResponseData: () => {},
      onResponseEnd: () => resolve(),
      onResponseError: (_: unknown, error: Error) => reject(error),
    };
    pool.dispatch({ path: '/mcp', method: 'POST', headers, body }, handler);
  });
}
