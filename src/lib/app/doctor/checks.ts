import { AppError } from '../../shared/errors.ts';
import type { CommandContext } from '../command-context.ts';
import type { Finding } from './finding.ts';
import { checkDisk, checkPermissions } from './folder-checks.ts';
import { checkSupervisor } from './lock-check.ts';
import { checkConfiguration, checkInstance, checkKeys, checkManifest, checkRuntime } from './machine-checks.ts';
import { checkMcpPorts, checkOrphans, checkPort } from './process-checks.ts';
import { checkApi, checkDatabase, checkEpoch, checkMigrations, checkServices } from './running-checks.ts';
import { checkClock, checkFileLimits, checkReaper } from './system-checks.ts';

export interface CheckResult extends Finding {
  readonly name: string;
}

interface Check {
  readonly name: string;
  /** Checks without which this one would only repeat what is known. */
  readonly after: readonly string[];
  run(context: CommandContext): Promise<Finding>;
}

/** All checks, in the order in which things stand on each other. */
const checks: readonly Check[] = [
  { name: 'runtime', after: [], run: checkRuntime },
  { name: 'process 1', after: [], run: checkReaper },
  { name: 'instance', after: [], run: checkInstance },
  { name: 'permissions', after: ['instance'], run: checkPermissions },
  { name: 'keys', after: ['instance'], run: checkKeys },
  { name: 'configuration', after: ['instance'], run: checkConfiguration },
  { name: 'supervisor', after: ['instance'], run: checkSupervisor },
  { name: 'port', after: ['configuration'], run: checkPort },
  { name: 'mcp ports', after: ['configuration'], run: checkMcpPorts },
  { name: 'orphans', after: ['instance'], run: checkOrphans },
  { name: 'database', after: ['keys', 'configuration', 'supervisor'], run: checkDatabase },
  { name: 'migrations', after: ['database'], run: checkMigrations },
  { name: 'epoch', after: ['migrations'], run: checkEpoch },
  { name: 'clock', after: ['database'], run: checkClock },
  { name: 'disk', after: ['instance'], run: checkDisk },
  { name: 'file limits', after: [], run: checkFileLimits },
  { name: 'commands', after: [], run: checkManifest },
  { name: 'api', after: ['supervisor'], run: checkApi },
  { name: 'services', after: ['supervisor'], run: checkServices },
];

/** Runs every check that can say something; one that depends on a check that is not ok is told so and not run. */
export async function runChecks(context: CommandContext): Promise<readonly CheckResult[]> {
  const results: CheckResult[] = [];
  for (const check of checks) {
    const missing = check.after.find((name) => results.find((result) => result.name === name)?.state !== 'ok');
    if (missing !== undefined) {
      results.push({ name: check.name, state: 'warn', detail: `not checked, because ${missing} is not ok` });
      continue;
    }
    results.push({ name: check.name, ...(await finding(check, context)) });
  }
  return results;
}

async function finding(check: Check, context: CommandContext): Promise<Finding> {
  try {
    return await check.run(context);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    if (!(error instanceof AppError)) return { state: 'fail', detail: message };
    const [fix] = error.next;
    // Where a command of the system mends it, the hint ends with it.
    const shell = /(?:^|: )((?:sudo )?(?:chmod|chown) .*)$/.exec(error.hint ?? '')?.[1];
    const hint = shell === undefined && error.hint !== undefined ? ` ${error.hint}` : '';
    return {
      state: 'fail',
      detail: `${message}${hint}`,
      ...(fix === undefined ? {} : { fix }),
      ...(shell === undefined ? {} : { shell }),
    };
  }
}
