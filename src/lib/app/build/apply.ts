import { type ConfigIssue, isNotRunning } from '../../shared/errors.ts';
import type { CommandContext } from '../command-context.ts';
import type { SupervisorClient } from '../supervisor/client.ts';
import type { ServiceStatus } from '../supervisor/status.ts';

/** What became of new artefacts in the running system. */
export interface Applied {
  /** `not_running`: they take effect at the next start. `invalid`: the configuration does not hold, what runs stays. */
  readonly outcome: 'applied' | 'not_running' | 'invalid';
  readonly services: readonly { readonly name: string; readonly state: string }[];
  /** Services that are to run and do not, or go on in their old form. */
  readonly failed: readonly string[];
  /** Changes of other services, which were left alone. */
  readonly waiting: readonly string[];
  readonly issues: readonly ConfigIssue[];
}

/**
 * Has the running supervisor take up what was built, and nothing else: where more has changed than that, the servers
 * are restarted by name.
 * @param servers keys of services/mcp/
 */
export async function applyBuilt(context: CommandContext, root: string, servers: readonly string[]): Promise<Applied> {
  const names = new Set(servers.map((server) => `mcp:${server}`));
  const supervisor = await runningSupervisor(context, root);
  if (supervisor === undefined) return { ...nothing, outcome: 'not_running' };
  const plan = await supervisor.reconcile({ dryRun: true });
  if (!plan.valid) return { ...nothing, outcome: 'invalid', issues: plan.issues ?? [] };
  const steps = plan.steps.filter(({ kind }) => kind !== 'keep' && kind !== 'adopt');
  const waiting = steps.map(({ name }) => name).filter((name) => !names.has(name));
  if (waiting.length === 0) {
    const result = await supervisor.reconcile();
    if (!result.valid) return { ...nothing, outcome: 'invalid', issues: result.issues ?? [] };
    const failed = result.failed.filter((name) => names.has(name));
    return { ...nothing, outcome: 'applied', services: shown(result.services, names), failed };
  }
  const known = plan.services.map(({ name }) => name).filter((name) => names.has(name));
  if (known.length === 0) return { ...nothing, outcome: 'applied', waiting: [...waiting, ...names] };
  const { services } = await supervisor.restart(known);
  const failed = services.filter(({ name, state }) => names.has(name) && state !== 'ready').map(({ name }) => name);
  const added = [...names].filter((name) => !known.includes(name));
  return { ...nothing, outcome: 'applied', services: shown(services, names), failed, waiting: [...waiting, ...added] };
}

const nothing = { services: [], failed: [], waiting: [], issues: [] } as const;

async function runningSupervisor(context: CommandContext, root: string): Promise<SupervisorClient | undefined> {
  const instance = await context.findInstance();
  if (instance?.root !== root) return undefined;
  try {
    return await context.supervisor();
  } catch (error) {
    if (isNotRunning(error)) return undefined;
    throw error;
  }
}

function shown(services: readonly ServiceStatus[], names: ReadonlySet<string>): Applied['services'] {
  return services.filter(({ name }) => names.has(name)).map(({ name, state }) => ({ name, state }));
}
