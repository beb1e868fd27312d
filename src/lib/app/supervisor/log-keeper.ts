import { defaultLogLimits, type LogLimits, rotateLog } from '../../infra/process/log-rotation.ts';
import type { ServiceSpec } from '../../infra/process/spec.ts';
import type { SupervisorLog } from './service-host.ts';

const checkEveryMs = 2_000;
/** A process of ours rotates its log itself, without loss. One that can't (it hangs while others print) is helped at this size. */
const helpFactor = 2;

/** What is looked at of a service. */
interface Logged {
  readonly name: string;
  readonly spec: Pick<ServiceSpec, 'rotatesItsLog'>;
  /** Of its last run. */
  readonly logFile: string | undefined;
}

/**
 * Rotates the logs of services that don't do it themselves (PostgreSQL, say), adopted ones as well. One look costs a stat a
 * service.
 * @returns ends it
 */
export function keepLogs(
  services: () => readonly Logged[],
  limits: () => LogLimits | undefined,
  log: SupervisorLog,
): () => void {
  const failing = new Set<string>();
  const look = (): void => {
    const { maxBytes, maxFiles } = limits() ?? defaultLogLimits;
    for (const { name, spec, logFile } of services()) {
      if (logFile === undefined) continue;
      const factor = spec.rotatesItsLog === true ? helpFactor : 1;
      try {
        rotateLog(logFile, { maxBytes: maxBytes * factor, maxFiles });
        failing.delete(name);
      } catch (error) {
        if (!failing.has(name)) log.error({ err: error, target: name }, `the log of ${name} could not be rotated`);
        failing.add(name);
      }
    }
  };
  const timer = setInterval(look, checkEveryMs).unref();
  return () => clearInterval(timer);
}
