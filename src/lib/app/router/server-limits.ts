import type { McpRateLimit, McpServerConfig } from '../../domain/mcp/index.ts';
import { type AppError, RateLimitedError } from '../../shared/errors.ts';
import type { Allowances, Quota, Taken } from '../rate-limit/quota.ts';

type Limited = Pick<McpServerConfig, 'name' | 'rateLimit' | 'tools'>;

interface Caller {
  readonly sub: string;
  readonly client: string;
}

/**
 * Counts the requests to each server and each tool that has a `rate_limit`, beside what the profile allows a caller. Where
 * several API processes serve they count together, in the database. What has no limit costs nothing.
 */
export class ServerLimits {
  readonly #allowances: Allowances;
  readonly #onRefused: ((server: string) => void) | undefined;
  readonly #quotas = new WeakMap<McpRateLimit, Quota>();

  constructor(allowances: Allowances, onRefused?: (server: string) => void) {
    this.#allowances = allowances;
    this.#onRefused = onRefused;
  }

  /**
   * Counts one request, or call of a tool. One that is refused costs nothing where it is refused. The tool first: whom it
   * refuses has lost nothing of what the server allows.
   */
  refusal(server: Limited, caller: Caller, tool?: string): AppError | undefined | Promise<AppError | undefined> {
    const ofServer = () => this.#count(server.name, server.name, server.rateLimit, caller);
    const rate = tool === undefined ? undefined : server.tools.get(tool)?.rateLimit;
    if (rate === undefined || tool === undefined) return ofServer();
    const ofTool = this.#count(server.name, `${server.name} ${tool}`, rate, caller, tool);
    if (ofTool instanceof Promise) return ofTool.then((refused) => refused ?? ofServer());
    return ofTool ?? ofServer();
  }

  #count(
    server: string,
    name: string,
    rate: McpRateLimit | undefined,
    caller: Caller,
    tool?: string,
  ): AppError | undefined | Promise<AppError | undefined> {
    if (rate === undefined) return undefined;
    const quota = this.#quotaOf(name, rate);
    const taken = this.#allowances.take(quota, counted(rate, caller));
    const judge = (result: Taken) => (result.refused ? this.#refused(server, tool, rate, quota, result) : undefined);
    return taken instanceof Promise ? taken.then(judge) : judge(taken);
  }

  #refused(server: string, tool: string | undefined, rate: McpRateLimit, quota: Quota, { owingMs }: Taken): AppError {
    this.#onRefused?.(server);
    const seconds = Math.max(1, Math.ceil((owingMs + quota.costMs - quota.depthMs) / 1000));
    const what = tool === undefined ? `The server ${server}` : `The tool ${tool} of ${server}`;
    const whom = rate.per === 'server' ? 'for all together' : `for each ${rate.per}`;
    return new RateLimitedError(`${what} takes ${rate.requests} in ${rate.perSeconds} s ${whom}.`, {
      hint: `Wait ${seconds} s.`,
      data: { server, ...(tool === undefined ? {} : { tool }), per: rate.per, retry_after_seconds: seconds },
    });
  }

  #quotaOf(name: string, rate: McpRateLimit): Quota {
    let quota = this.#quotas.get(rate);
    if (quota === undefined) {
      const costMs = (rate.perSeconds * 1000) / rate.requests;
      quota = {
        name: `mcp ${name}`,
        perSecond: rate.requests / rate.perSeconds,
        capacity: rate.requests,
        costMs,
        // Rounding must not cost the last of them.
        depthMs: rate.requests * costMs + 1e-6,
      };
      this.#quotas.set(rate, quota);
    }
    return quota;
  }
}

function counted({ per }: McpRateLimit, caller: Caller): string {
  if (per === 'server') return '*';
  return per === 'user' ? caller.sub : caller.client;
}
