import { fstatSync, statSync } from 'node:fs';
import { captureOutput } from '../logging/capture.ts';
import { KnownSecrets } from '../logging/known-secrets.ts';
import { createLogger, type Logger } from '../logging/logger.ts';
import { isSecretName } from '../logging/redact.ts';
import { defaultLogLimits, type LogLimits, rotateLog } from './log-rotation.ts';

const checkEveryMs = 1_000;
/** Of variables that only their name makes a secret, a shorter value is a number or a switch. */
const guessedLength = 8;

/** The log of this process, and the secrets that are kept out of it by their value. */
export interface ProcessLog {
  readonly logger: Logger;
  readonly secrets: KnownSecrets;
}

/**
 * Opens the log of a process that a supervisor started: standard output, in JSON lines that name service and run. Whatever
 * else is printed becomes such lines too, and the file is rotated by this process itself, with a supervisor or without.
 * @param service what it is called when nobody said so
 */
export function openProcessLog(service: string, env: NodeJS.ProcessEnv = process.env): ProcessLog {
  const secrets = new KnownSecrets();
  for (const value of secretsIn(env)) secrets.add(value);
  const level = env['SYSTEMPROMPT_LOG_LEVEL'];
  const logger = createLogger({
    service: env['SYSTEMPROMPT_SERVICE'] ?? service,
    instanceId: env['SYSTEMPROMPT_SERVICE_INSTANCE'],
    secrets,
    ...(level === undefined || level === '' ? {} : { level }),
  });
  captureOutput(logger, secrets);
  const file = env['SYSTEMPROMPT_LOG_FILE'];
  if (file !== undefined && isOutput(file)) keepRotated(file, () => limitsIn(env), logger);
  return { logger, secrets };
}

/** The variables that tell a process of ours how to keep its log; {@link openProcessLog} reads them. */
export function logEnvironment(level: string, limits: LogLimits): Record<string, string> {
  return {
    SYSTEMPROMPT_LOG_LEVEL: level,
    SYSTEMPROMPT_LOG_MAX_BYTES: String(limits.maxBytes),
    SYSTEMPROMPT_LOG_MAX_FILES: String(limits.maxFiles),
  };
}

/** Rotates a file that this process itself writes to when it is due, as long as the process lives. */
export function keepRotated(file: string, limits: () => LogLimits, logger: Pick<Logger, 'error'>): void {
  let failed = false;
  setInterval(() => {
    try {
      rotateLog(file, limits());
      failed = false;
    } catch (error) {
      // Said once: on a full disk every line makes it worse.
      if (!failed) logger.error({ err: error }, 'the log could not be rotated');
      failed = true;
    }
  }, checkEveryMs).unref();
}

/** Whether standard output is that very file: a variable may have been inherited from somebody else. */
function isOutput(file: string): boolean {
  const named = statSync(file, { throwIfNoEntry: false });
  const own = fstatSync(1);
  return named !== undefined && named.ino === own.ino && named.dev === own.dev;
}

function limitsIn(env: NodeJS.ProcessEnv): LogLimits {
  const maxBytes = Number(env['SYSTEMPROMPT_LOG_MAX_BYTES']);
  const maxFiles = Number(env['SYSTEMPROMPT_LOG_MAX_FILES']);
  return {
    maxBytes: maxBytes > 0 ? maxBytes : defaultLogLimits.maxBytes,
    maxFiles: maxFiles >= 2 ? maxFiles : defaultLogLimits.maxFiles,
  };
}

/** The values of variables that the configuration or their own names say are secret. */
function secretsIn(env: NodeJS.ProcessEnv): string[] {
  const declared = new Set((env['SYSTEMPROMPT_SECRET_VARIABLES'] ?? '').split(','));
  return Object.entries(env).flatMap(([name, value = '']) => {
    if (/^OTEL_EXPORTER_OTLP_(TRACES_)?HEADERS$/.test(name)) return headerValues(value);
    if (!declared.has(name) && !(isSecretName(name) && value.length >= guessedLength)) return [];
    const password = URL.canParse(value) ? new URL(value).password : '';
    return password === '' ? [value] : [value, password, decoded(password)];
  });
}

/** Of `name=value,name=value`, percent-encoded (OpenTelemetry Protocol Exporter). */
function headerValues(text: string): string[] {
  const values = text.split(',').map((pair) => pair.slice(pair.indexOf('=') + 1).trim());
  return values.flatMap((value) => (value === '' ? [] : [value, decoded(value)]));
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // a stray per cent sign
  }
}
