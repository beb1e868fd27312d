import type { CommandContext } from '../../lib/app/command-context.ts';
import type { SupervisorClient } from '../../lib/app/supervisor/client.ts';
import { configurationChanged } from '../../lib/app/supervisor/live-plan.ts';
import type { ReconcileResult } from '../../lib/app/supervisor/status.ts';
import { AppError } from '../../lib/shared/errors.ts';

/**
 * What a restart has not brought into force, as sentences for its reader: it goes by the configuration that was last
 * accepted, whatever the files say by now.
 *
 * @param names the services that were restarted
 */
export async function notInForce(
  context: CommandContext,
  supervisor: SupervisorClient,
  names: readonly string[],
): Promise<string[]> {
  let plan: ReconcileResult;
  try {
    plan = await supervisor.reconcile({ dryRun: true });
  } catch (error) {
    // It starts, stops, or waits for its database: the order has been carried out, and this is an addition to it.
    if (error instanceof AppError) return [];
    throw error;
  }
  return differences(plan, names, plan.valid ? await filesOf(context, names) : new Map());
}

/** @param files where the services are configured, as far as that is a file of their own */
export function differences(
  { valid, issues = [], steps }: Pick<ReconcileResult, 'valid' | 'issues' | 'steps'>,
  names: readonly string[],
  files: ReadonlyMap<string, string>,
): string[] {
  if (!valid) {
    const [first] = issues;
    const more = issues.length > 1 ? `, and ${issues.length - 1} more` : '';
    const where = first === undefined ? '' : ` (${first.file}:${first.line}:${first.column}: ${first.message}${more})`;
    return [`The configuration is invalid by now${where}: what was restarted has that of before. Mend it first`];
  }
  return steps.flatMap(({ kind, name, reason }) => {
    if (!names.includes(name)) return [];
    if (kind === 'drop') return [`${name}: it is no longer configured, and was restarted as before`];
    if (kind !== 'replace' || reason !== configurationChanged) return [];
    const file = files.get(name);
    const what = file === undefined ? 'its configuration' : `${file}, or a secret that it gets,`;
    return [`${name}: ${what} has changed, and it was restarted with the configuration of before`];
  });
}

async function filesOf(context: CommandContext, names: readonly string[]): Promise<Map<string, string>> {
  if (!names.some((name) => name.startsWith('mcp:'))) return new Map();
  const servers = await context.mcpServers();
  return new Map(servers.map(({ name, moduleAt }) => [`mcp:${name}`, moduleAt.file]));
}
