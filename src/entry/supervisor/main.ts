import { setTimeout as delay } from 'node:timers/promises';
import { followConfiguration } from '../../lib/app/supervisor/configuration-follower.ts';
import { createControlServer } from '../../lib/app/supervisor/control.ts';
import { supervisorRoutes, supervisorStreams } from '../../lib/app/supervisor/control-routes.ts';
import { Journal } from '../../lib/app/supervisor/journal.ts';
import { forgetPort, withKeptPort } from '../../lib/app/supervisor/kept-port.ts';
import { bindControlSocket } from '../../lib/app/supervisor/lock.ts';
import { keepLogs } from '../../lib/app/supervisor/log-keeper.ts';
import { ManagerReport } from '../../lib/app/supervisor/manager-report.ts';
import { defaultPolicy } from '../../lib/app/supervisor/policy.ts';
import { configurationExitCode } from '../../lib/app/supervisor/restarts.ts';
import { Supervisor } from '../../lib/app/supervisor/supervisor.ts';
import { activeProfile } from '../../lib/infra/config/active-profile.ts';
import { removeHalves, writeFileAtomic } from '../../lib/infra/config/atomic-file.ts';
import { type Instance, requireInstance } from '../../lib/infra/config/instance.ts';
import { packageVersion } from '../../lib/infra/config/package-root.ts';
import { ensureRuntimeDir, runtimeRecord } from '../../lib/infra/config/runtime-dir.ts';
import { captureOutput } from '../../lib/infra/logging/capture.ts';
import { createLogger, type Logger } from '../../lib/infra/logging/logger.ts';
import { openSupervisorLog, type SupervisorFile, supervisorFile } from '../../lib/infra/process/launch.ts';
import { defaultLogLimits, type LogLimits, logLimits } from '../../lib/infra/process/log-rotation.ts';
import { supervisorLogFile } from '../../lib/infra/process/logs.ts';
import { keepRotated } from '../../lib/infra/process/own-log.ts';
import { missingReaper } from '../../lib/infra/process/reaper.ts';
import { serviceManager } from '../../lib/infra/process/service-manager.ts';
import { ConfigInvalidError, toAppError } from '../../lib/shared/errors.ts';
import { newId, type ServiceInstanceId } from '../../lib/shared/ids.ts';
import { errorToWire } from '../../lib/shared/wire.ts';
import { bootSteps, Composition } from './composition.ts';

// The supervisor of one instance: SYSTEMPROMPT_ROOT and SYSTEMPROMPT_PROFILE say which. Its output is its log; a service
// manager that starts it directly says `--log-file`, and it writes the same file as one that was started by the CLI.

/** How long a caller who waits for the start gets to read why there is none. */
const lastWordsMs = 3_000;
/** After the boot. */
const giveBackAgainMs = [5_000, 20_000];

async function main(): Promise<number> {
  const who = { service: 'supervisor', instanceId: newId<ServiceInstanceId>() };
  let log = createLogger(who);
  process.on('uncaughtException', (error) => fault(log, error));
  process.on('unhandledRejection', (error) => fault(log, error));
  let instance: Instance | undefined;
  try {
    instance = await requireInstance(process.cwd(), process.env);
    await ensureRuntimeDir(instance);
    if (process.argv.includes('--log-file')) {
      log = createLogger({ ...who, destination: openSupervisorLog(instance) });
    }
    captureOutput(log);
    return await supervise(instance, log);
  } catch (error) {
    const known = toAppError(error);
    log.fatal({ err: known }, known.message);
    // Not when another supervisor runs: the file is about that one.
    if (instance !== undefined && known.code !== 'CONFLICT') await leave(instance, 'failed', known);
    return exitCodeOf(known);
  }
}

async function supervise(instance: Instance, log: Logger): Promise<number> {
  const profile = activeProfile(instance, { cwd: process.cwd(), env: process.env }).name;
  const journal = new Journal();
  const composition = new Composition(instance, profile, ({ server, mode, validated, created, errors }) => {
    const level = errors.length === 0 ? 'info' : mode === 'strict' ? 'error' : 'warn';
    const faults = errors.map(({ file, line, column, message }) => `${file}:${line}:${column} ${message}`);
    log[level]({ server, mode, validated, created, errors: faults }, 'looked at the tables that a server declares');
  });
  const reaper = missingReaper();
  const supervisor = new Supervisor({
    installation: { id: instance.id, root: instance.root, logsDir: instance.logsDir, profile },
    runDir: instance.runDir,
    version: packageVersion(),
    url: () => composition.url,
    ended: () => forgetPort(instance),
    policy: defaultPolicy,
    journal,
    log,
    warnings: reaper === undefined ? [] : [reaper],
  });
  const manager = serviceManager(process.env, (error) => {
    log.error({ err: error }, 'the service manager can not be told how we are');
  });
  const report = manager === undefined ? undefined : new ManagerReport(manager, instance.controlSocket, log);
  const limits = (): LogLimits =>
    composition.profile === undefined ? defaultLogLimits : logLimits(composition.profile.logging);
  const told = Promise.withResolvers<void>();
  const over = Promise.withResolvers<void>();
  const stop = (now: boolean): void => {
    supervisor.shutdown(now).then(over.resolve, over.reject);
  };
  const server = createControlServer({
    routes: [...supervisorRoutes(supervisor, stop), ...composition.routes()],
    streams: supervisorStreams(supervisor, told.resolve),
    onFault: (error) => log.error({ err: error }, 'a request on the control socket failed'),
  });
  const lock = await bindControlSocket(server, instance.controlSocket);
  keepRotated(supervisorLogFile(instance.logsDir), limits, log);
  keepLogs(() => supervisor.services, limits, log);
  let unfollow = async (): Promise<void> => {};
  try {
    // All of it is a supervisor's, but for what any command may be writing just now.
    await removeHalves(instance.runDir, [runtimeRecord]);
    Object.assign(process.env, await withKeptPort(instance, process.env));
    await leave(instance, 'booting');
    report?.booting();
    supervisor.closing.addEventListener('abort', () => void report?.stopping());
    let signals = 0;
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      process.on(signal, () => {
        signals += 1;
        log.info({ signal }, signals === 1 ? 'stopping' : 'stopping at once');
        stop(signals > 1);
      });
    }
    supervisor.fence.onChange((state) => {
      // Another supervisor acts now. What runs is its to decide on: end, and touch nothing.
      if (state === 'lost') stop(false);
    });
    unfollow = await followConfiguration(supervisor, () => composition.files, log);
    const failure = await supervisor.boot(bootSteps(composition)).then(
      () => undefined,
      (error: unknown) => error,
    );
    if (failure === undefined) {
      await leave(instance, 'running');
      await report?.ready();
      giveBack();
      // What was still in flight then (a connection that closes, a first look at the files) is garbage only now, and a
      // process that allocates this little would not collect it for hours.
      for (const ms of giveBackAgainMs) setTimeout(giveBack, ms).unref();
    } else if (!supervisor.closing.aborted) {
      const known = toAppError(failure);
      log.fatal({ err: known }, known.message);
      await leave(instance, 'failed', known);
      stop(false);
      await over.promise;
      await Promise.race([told.promise, delay(lastWordsMs)]);
      return exitCodeOf(known);
    }
    await over.promise;
    await leave(instance, 'stopped');
    log.info('stopped');
    return supervisor.fence.state === 'lost' ? 1 : 0;
  } finally {
    report?.close();
    await unfollow();
    await composition.close();
    await lock.release();
  }
}

/** Gives the system back what the boot needed and nothing holds any more. */
function giveBack(): void {
  globalThis.gc?.({ type: 'major', execution: 'sync', flavor: 'last-resort' });
}

/** For those who come when this process is gone. */
async function leave(instance: Instance, state: SupervisorFile['state'], error?: unknown): Promise<void> {
  const file: SupervisorFile = {
    pid: process.pid,
    version: packageVersion(),
    startedAt: new Date(Date.now() - process.uptime() * 1000).toISOString(),
    state,
    ...(error === undefined ? {} : { error: errorToWire(error) }),
  };
  await writeFileAtomic(supervisorFile(instance), `${JSON.stringify(file)}\n`, 0o600);
}

function exitCodeOf(error: unknown): number {
  return error instanceof ConfigInvalidError ? configurationExitCode : 1;
}

/** A fault of ours: end at once. The services go on, and the next supervisor adopts them. */
function fault(log: Logger, error: unknown): never {
  log.fatal({ err: error }, 'the supervisor ends by a fault; the services go on');
  process.exit(1);
}

process.exit(await main());
