import { tailLines } from '../../infra/process/logs.ts';
import type { Run } from './run.ts';
import type { SupervisedService } from './service-host.ts';
import type { LastExit, ServiceStatus } from './status.ts';

const lastLogLength = 500;

/** What is told of a service; `logFile` is that of its last run. */
export function statusOf(
  service: Omit<SupervisedService, 'status'>,
  run: Run | undefined,
  logFile: string | undefined,
): ServiceStatus {
  const { facts } = service;
  const status = {
    name: service.name,
    kind: service.spec.kind,
    state: service.state,
    pid: run?.pid,
    port: run?.record.port,
    instanceId: run?.record.instanceId,
    generation: service.generation,
    restarts: facts.restarts,
    adopted: run?.adopted === true ? true : undefined,
    startedAt: run?.record.startedAt.toISOString(),
    readyAt: facts.readyAt?.toISOString(),
    readyMs: facts.readyMs,
    nextRetryAt: facts.nextRetryAt?.toISOString(),
    lastExit: facts.lastExit,
    lastError: facts.lastError,
    lastErrorCode: facts.lastErrorCode,
    lastLog: logFile === undefined ? undefined : tailLines(logFile, 1)[0]?.slice(0, lastLogLength),
    detail: facts.detail,
  };
  // Absent, not undefined: what is not there is not sent.
  return Object.fromEntries(
    Object.entries(status).filter(([, value]) => value !== undefined),
  ) as unknown as ServiceStatus;
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
