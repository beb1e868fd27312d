import { lastWords } from '../../infra/process/log-tail.ts';
import { isPortFree } from '../../infra/process/ports.ts';
import type { ReadyResult } from '../../infra/process/spec.ts';
import { AppError, type ErrorCode, PreconditionError, TimeoutError } from '../../shared/errors.ts';
import { untilAble } from './probing.ts';
import { configurationExitCode } from './restarts.ts';
import type { Run } from './run.ts';
import type { ServiceHost, SupervisedService } from './service-host.ts';
import type { ServiceProcess } from './service-process.ts';
import { configurationFault, describeExit, unkillable } from './service-status.ts';
import type { LastExit } from './status.ts';

/** A run that has answered its health check beside the one that serves. */
export interface Raised {
  readonly run: Run;
  readonly found: ReadyResult;
}

/** Why no successor came; nothing of it is left, unless the reason says so. */
export interface NotRaised {
  readonly reason: string;
  readonly code: ErrorCode | undefined;
  /** The end of its output. */
  readonly lines: readonly string[];
}

/** How often a successor is started anew whose port was taken by another program before it listened. */
const portTries = 3;

/**
 * Starts a run beside the one that serves and waits until it is ready by its own id; one that does not get so far is
 * ended, with everything that it started. Never rejects.
 * @param signal gives it up
 * @param now cuts its grace short when it has to be ended
 */
export async function raiseSuccessor(
  service: SupervisedService,
  process: ServiceProcess,
  host: ServiceHost,
  signal: AbortSignal,
  now: AbortSignal,
): Promise<Raised | NotRaised> {
  for (let tries = 1; ; tries += 1) {
    const result = await raise(service, process, host, signal, now);
    if (!('portLost' in result)) return result;
    const { portLost, ...failure } = result;
    if (tries === portTries || signal.aborted) return failure;
    host.said(service, 'warn', `port ${portLost} was taken before its successor listened on it: another is tried`);
  }
}

/** @returns `portLost` for a run that ended by itself, and on whose port another program listens now */
async function raise(
  service: SupervisedService,
  process: ServiceProcess,
  host: ServiceHost,
  signal: AbortSignal,
  now: AbortSignal,
): Promise<Raised | NotRaised | (NotRaised & { readonly portLost: number })> {
  let run: Run | undefined;
  let exit: LastExit | null | undefined;
  try {
    await host.mayAct(service, signal);
    run = await process.spawnBeside(signal);
    const ended = new AbortController();
    void run.exited.then((how) => {
      exit = how;
      ended.abort();
    });
    host.said(service, 'info', `process ${run.pid} is to take the place of ${service.process?.identity.pid ?? 'it'}`);
    const either = AbortSignal.any([signal, ended.signal]);
    const result = await untilAble(service.spec, run, host.policy, either, () => !host.acting(service));
    if (!result.ready) {
      throw new TimeoutError(`it was not ready within ${service.spec.readyTimeoutMs} ms: ${result.reason}`);
    }
    await host.verifyPort(service, either);
    either.throwIfAborted();
    return { run, found: result };
  } catch (error) {
    const lines = run === undefined ? [] : lastWords(run.logFile);
    const why = signal.aborted
      ? new PreconditionError('another order came first')
      : reasonOf(error, service, run, exit);
    if (run === undefined) return { ...told(why), lines };
    await host.mayAct(service);
    const survivors = await process.end(run, { now });
    const { reason, code } = told(why);
    if (survivors.length > 0) return { reason: `${reason}; ${unkillable(survivors)}`, code, lines };
    const { port } = run.record;
    const mayMove = port !== undefined && service.spec.port?.range !== undefined;
    const lost = mayMove && exit !== undefined && exit?.code !== configurationExitCode && !(await isPortFree(port));
    return { reason, code, lines, ...(lost ? { portLost: port } : {}) };
  }
}

function reasonOf(
  error: unknown,
  { spec }: SupervisedService,
  run: Run | undefined,
  exit: LastExit | null | undefined,
): unknown {
  if (run === undefined || exit === undefined) return error;
  if (exit?.code !== configurationExitCode) return new Error(`its process ${describeExit(exit)}`);
  return new PreconditionError(configurationFault(spec, run.logFile));
}

function told(error: unknown): { reason: string; code: ErrorCode | undefined } {
  return {
    reason: error instanceof Error ? error.message : String(error),
    code: error instanceof AppError ? error.code : undefined,
  };
}
