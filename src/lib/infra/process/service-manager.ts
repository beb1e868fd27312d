import { runTool } from './run-tool.ts';

/** The service manager that started this process and waits for its messages (sd_notify(3)). */
export interface ServiceManager {
  /** How long the manager waits between two signs of life before it ends us, in ms; absent when it does not watch. */
  readonly watchdogMs: number | undefined;
  /**
   * Sends one message of `NAME=value` lines; messages arrive in the order in which they were given. Never rejects: what
   * can't be sent is told to `onTrouble`, once.
   */
  notify(...lines: readonly string[]): Promise<void>;
}

const sendTimeoutMs = 5_000;

/**
 * The manager behind `NOTIFY_SOCKET`; `undefined` when there is none. Node.js has no datagram sockets in the file
 * system, so that messages are sent by systemd's own program, which waits until the manager has read them (sd_notify_barrier(3)):
 * a message whose sender has ended already would be dropped. The unit needs `NotifyAccess=all`, since a child sends them.
 *
 * @param onTrouble hears of the first message that could not be sent
 */
export function serviceManager(
  env: NodeJS.ProcessEnv,
  onTrouble: (error: unknown) => void,
): ServiceManager | undefined {
  const socket = env['NOTIFY_SOCKET'];
  if (process.platform !== 'linux' || socket === undefined || !/^[/@]/.test(socket)) return undefined;
  let sending: Promise<void> = Promise.resolve();
  let told = false;
  const send = async (lines: readonly string[]): Promise<void> => {
    try {
      const { exitCode, stderr } = await runTool({
        file: 'systemd-notify',
        args: [...lines],
        env: { NOTIFY_SOCKET: socket, PATH: [env['PATH'], '/usr/bin', '/bin'].filter(Boolean).join(':'), LC_ALL: 'C' },
        cwd: '/',
        timeoutMs: sendTimeoutMs,
        maxOutputBytes: 1_000,
      });
      if (exitCode !== 0) throw new Error(`systemd-notify failed: ${stderr.trim() || `exit code ${exitCode}`}`);
    } catch (error) {
      if (!told) onTrouble(error);
      told = true;
    }
  };
  return {
    watchdogMs: watchdogMs(env),
    notify(...lines) {
      sending = sending.then(() => send(lines));
      return sending;
    },
  };
}

/** sd_watchdog_enabled(3): the interval counts only for the process that it was given to. */
function watchdogMs(env: NodeJS.ProcessEnv): number | undefined {
  const { WATCHDOG_USEC: usec, WATCHDOG_PID: pid } = env;
  if (usec === undefined || !/^\d+$/.test(usec)) return undefined;
  if (pid !== undefined && Number(pid) !== process.pid) return undefined;
  const ms = Math.floor(Number(usec) / 1000);
  return ms > 0 ? ms : undefined;
}
