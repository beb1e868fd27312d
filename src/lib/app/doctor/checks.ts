import { AppError } from '../../shared/errors.ts';
import type { CommandContext } from '../command-context.ts';
import type { Finding } from './finding.ts';
import { checkConfiguration, checkInstance, checkKeys, checkManifest, checkRuntime } from './machine-checks.ts';
import {
  checkApi,
  checkDatabase,
  checkMigrations,
  checkPort,
  checkServices,
  checkSupervisor,
} from './running-checks.ts';

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
  { name: 'commands', after: [], run: checkManifest },
  { name: 'instance', after: [], run: checkInstance },
  { name: 'keys', after: ['instance'], run: checkKeys },
  { name: 'configuration', after: ['instance'], run: checkConfiguration },
  { name: 'supervisor', after: ['instance'], run: checkSupervisor },
  { name: 'port', after: ['configuration'], run: checkPort },
  { name: 'database', after: ['keys', 'configuration', 'supervisor'], run: checkDatabase },
  { name: 'migrations', after: ['database'], run: checkMigrations },
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
    const fix = error instanceof AppError ? error.next[0] : undefined;
    return { state: 'fail', detail: message, ...(fix === undefined ? {} : { fix }) };
  }
}
