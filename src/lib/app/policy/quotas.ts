import type { ToolHook } from '../../domain/mcp/index.ts';
import type { ToolCall } from '../executor/call.ts';
import type { Allowances, Quota } from '../rate-limit/quota.ts';

type QuotaHook = Extract<ToolHook, { type: 'quota' }>;

/** Counts calls against the quotas of rules. */
export interface QuotaCounter {
  /** @returns how long to wait, in ms, when there is nothing left */
  take(name: string, hook: QuotaHook, call: ToolCall): Promise<number | undefined>;
}

/** Over all API processes, as far as the allowances are theirs together. */
export class Quotas implements QuotaCounter {
  readonly #allowances: Allowances;
  readonly #quotas = new Map<QuotaHook, Quota>();

  constructor(allowances: Allowances) {
    this.#allowances = allowances;
  }

  async take(name: string, hook: QuotaHook, call: ToolCall): Promise<number | undefined> {
    const quota = this.#quotaOf(name, hook);
    const taken = await this.#allowances.take(quota, callerOf(hook, call));
    return taken.refused ? taken.owingMs + quota.costMs - quota.depthMs : undefined;
  }

  #quotaOf(name: string, hook: QuotaHook): Quota {
    let quota = this.#quotas.get(hook);
    if (quota === undefined) {
      const { limit: capacity, per_seconds: seconds } = hook;
      const costMs = (seconds * 1000) / capacity;
      quota = { name: `tool ${name}`, perSecond: capacity / seconds, capacity, costMs, depthMs: seconds * 1000 + 1e-6 };
      this.#quotas.set(hook, quota);
    }
    return quota;
  }
}

function callerOf({ per, each_tool: eachTool }: QuotaHook, { claims, server, tool }: ToolCall): string {
  const who = per === 'user' ? claims.sub : per === 'client' ? claims.client : '*';
  return JSON.stringify(eachTool ? [server.name, tool, who] : [per === 'server' ? server.name : '', who]);
}
