import { basename } from 'node:path';
import { lastWords, tailLines } from '../../infra/process/log-tail.ts';
import type { ServiceSpec } from '../../infra/process/spec.ts';
import type { ProcessRecord, Run } from './run.ts';
import type { SupervisedService } from './service-host.ts';
import type { LastExit, RunBeside, ServiceStatus } from './status.ts';

const lastLogLength = 500;

/** What is told of a service; `logFile` is that of its last run. */
export function statusOf(
  service: Omit<SupervisedService, 'status'>,
  run: Run | undefined,
  logFile: string | undefined,
  beside: readonly Run[] = [],
): ServiceStatus {
  const { facts } = service;
  // Its leader is gone: there is no process and no port to tell of, whatever is still being cleared away.
  const living = run?.ended === true ? undefined : run;
  const status = {
    name: service.name,
    kind: service.spec.kind,
    state: service.state,
    pid: living?.pid,
    port: living?.record.port,
    instanceId: run?.record.instanceId,
    generation: service.generation,
    restarts: facts.restarts,
    lastInstanceId: logFile === undefined ? undefined : basename(logFile, '.log'),
    adopted: run?.adopted === true ? true : undefined,
    beside: beside.length === 0 ? undefined : beside.map(({ pid, record }) => besideOf(pid, record)),
    startedAt: run?.record.startedAt.toISOString(),
    readyAt: facts.readyAt?.toISOString(),
    readyMs: facts.readyMs,
    nextRetryAt: facts.nextRetryAt?.toISOString(),
    lastExit: facts.lastExit,
    lastError: facts.lastError,
    lastErrorCode: facts.lastErrorCode,
    lastLog: logFile === undefined ? undefined : tailLines(logFile, 1)[0]?.slice(0, lastLogLength),
    log: service.state === 'failed' && logFile !== undefined ? lastWords(logFile) : undefined,
    detail: facts.detail,
    health: service.health.status(),
    resources: service.resources.status(),
  };
  // Absent, not undefined: what is not there is not sent.
  return Object.fromEntries(
    Object.entries(status).filter(([, value]) => value !== undefined),
  ) as unknown as ServiceStatus;
}

function besideOf(pid: number, { instanceId, port }: ProcessRecord): RunBeside {
  return port === undefined ? { pid, instanceId } : { pid, instanceId, port };
}

/** Why a process that ended for its configuration says it did, in its own last words. */
export function configurationFault({ configuredAt }: Pick<ServiceSpec, 'configuredAt'>, logFile: string): string {
  const lines = lastWords(logFile);
  const said = lines.findLast((line) => messageIn(line) !== undefined);
  const words = (said === undefined ? lines.at(-1) : messageIn(said))?.slice(0, lastLogLength);
  const where = configuredAt === undefined ? '' : `${configuredAt}: `;
  return `${where}it found its configuration invalid${words === undefined ? '' : `: ${words}`}`;
}

/** The message of a line that the logger wrote; `undefined` for any other line. */
function messageIn(line: string): string | undefined {
  try {
    const entry: unknown = JSON.parse(line);
    if (typeof entry !== 'object' || entry === null || !('msg' in entry)) return undefined;
    return typeof entry.msg === 'string' ? entry.msg : undefined;
  } catch {
    return undefined; // text that something else wrote
  }
}

/** How a process ended, in words. */
export function describeExit(exit: LastExit | null): string {
  if (exit === null) return 'ended';
  return exit.signal === null ? `ended with exit code ${exit.code}` : `was ended by ${exit.signal}`;
}

/** Why a service failed whose processes outlive SIGKILL. */
export function unkillable(pids: readonly number[]): string {
  return `process ${pids.join(', ')} outlives SIGKILL: the kernel holds it`;
}
