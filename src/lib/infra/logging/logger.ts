import pino from 'pino';
import type { KnownSecrets } from './known-secrets.ts';
import { redactLogText, redactLogValue } from './redact.ts';

export type Logger = pino.Logger;

export interface LoggerOptions {
  /** Who writes: `supervisor`, `api`, `mcp:<name>`. */
  readonly service: string;
  /** Which run of it. */
  readonly instanceId?: string | undefined;
  readonly level?: string;
  /** Where to: a file (opened for appending) or a descriptor; standard output unless told. */
  readonly destination?: string | number;
  /** Values to remove wherever they are quoted. */
  readonly secrets?: KnownSecrets;
}

/** Bytes of lines that wait for space on a full disk; what comes beyond them is lost. */
const waitingLimit = 1024 * 1024;

/**
 * JSON lines, one an event. Members that go under a secret's name and texts that look like one are blanked before they
 * are written; writes are synchronous, so that the last line before an end is there. A line that can't be written (a full
 * disk) waits and goes out before the next one that can: a service must not end because nobody can read about it.
 */
export function createLogger(options: LoggerOptions): Logger {
  const destination = pino.destination({
    dest: options.destination ?? 1,
    sync: true,
    append: true,
    mkdir: typeof options.destination === 'string',
    mode: 0o600,
    maxLength: waitingLimit,
  });
  // Without a listener the error would be thrown at whoever logs, and again at whoever logs that.
  destination.on('error', () => undefined);
  const { service, instanceId, secrets } = options;
  return pino(
    {
      level: options.level ?? 'info',
      base: { service, ...(instanceId === undefined ? {} : { instanceId }), pid: process.pid },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: {
        level: (label) => ({ level: label }),
        log: (facts) => redactLogValue(facts, { secrets }) as Record<string, unknown>,
      },
      // What `log` above made of an error is already plain.
      serializers: { err: (value: unknown) => value },
      hooks: {
        logMethod(args, method) {
          const clean = args.map((arg: unknown) => (typeof arg === 'string' ? redactLogText(arg, secrets) : arg));
          method.apply(this, clean as Parameters<typeof method>);
        },
      },
    },
    destination,
  );
}
