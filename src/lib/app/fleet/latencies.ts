import { request } from 'undici';
import type { McpServerConfig } from '../../domain/mcp/index.ts';

const timeoutMs = 1000;

/** How long the servers take to answer `GET /healthz` now, in ms, by name; those that do not answer are not in it. */
export async function fleetLatencies(
  servers: readonly Pick<McpServerConfig, 'name' | 'enabled'>[],
  directory: { endpoint(serviceName: string): { readonly port?: number | undefined } | undefined },
): Promise<Map<string, number>> {
  const found = await Promise.all(
    servers.map(async ({ name, enabled }) => {
      const port = enabled ? directory.endpoint(`mcp:${name}`)?.port : undefined;
      if (port === undefined) return [];
      const started = performance.now();
      try {
        const answer = await request(`http://127.0.0.1:${port}/healthz`, {
          headersTimeout: timeoutMs,
          bodyTimeout: timeoutMs,
          signal: AbortSignal.timeout(timeoutMs),
        });
        await answer.body.dump();
        return answer.statusCode === 200 ? [[name, Math.round((performance.now() - started) * 10) / 10] as const] : [];
      } catch {
        return []; // that it does not answer is what its absence says; the supervisor tells why
      }
    }),
  );
  return new Map(found.flat());
}
