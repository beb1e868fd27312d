import type { ToolHook } from '../../domain/mcp/index.ts';
import { identityHeaderName, signIdentity } from '../../infra/security/identity-header.ts';
import type { SessionId, UserId } from '../../shared/ids.ts';
import { systemUser } from '../bridge/backend.ts';
import type { Upstream, Upstreams } from '../router/upstreams.ts';
import { HookFailedError, type HookRunner, maxAnswerBytes } from './runners.ts';

const identitySeconds = 60;

/**
 * A function of an extension, in the process of its server: what extensions bring never runs in the API's own. It is asked
 * at the port that the router knows, with an identity that only this run of the server believes.
 */
export function extensionRunner(
  hook: Extract<ToolHook, { type: 'extension' }>,
  upstreams: Pick<Upstreams, 'to'>,
): HookRunner {
  return async (call) => {
    const since = performance.now();
    try {
      const upstream = upstreams.to(hook.extension);
      const { statusCode, body } = await upstream.pool.request({
        path: `/hooks/${hook.hook}`,
        method: 'POST',
        headers: { 'content-type': 'application/json', [identityHeaderName]: identity(upstream) },
        body: JSON.stringify(call),
        signal: AbortSignal.timeout(hook.timeout_ms),
      });
      const chunks: Buffer[] = [];
      let bytes = 0;
      for await (const chunk of body as AsyncIterable<Buffer>) {
        bytes += chunk.length;
        if (bytes > maxAnswerBytes) throw new HookFailedError('its answer is too large');
        chunks.push(chunk);
      }
      if (statusCode === 404) throw new HookFailedError(`${hook.extension} has no hook ${hook.hook}`);
      if (statusCode !== 200) throw new HookFailedError(`it answered with status ${statusCode}`);
      return Buffer.concat(chunks).toString('utf8');
    } catch (error) {
      if (error instanceof HookFailedError) throw error;
      const late = performance.now() - since >= hook.timeout_ms;
      const why = late ? `it took longer than ${hook.timeout_ms} ms` : `the server ${hook.extension} is not reached`;
      throw new HookFailedError(why, { cause: error });
    }
  };
}

/** In nobody's name: it is the system that asks. */
function identity({ instanceId, identityKey }: Upstream): string {
  const iat = Math.floor(Date.now() / 1_000);
  return signIdentity(identityKey, {
    aud: instanceId,
    sub: systemUser as UserId,
    name: 'system',
    sid: systemUser as SessionId,
    scopes: [],
    iat,
    exp: iat + identitySeconds,
  });
}
