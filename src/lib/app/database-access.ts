import { createServer } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import type { Instance } from '../infra/config/instance.ts';
import type { Profile } from '../infra/config/profile.ts';
import { ensureRuntimeDir } from '../infra/config/runtime-dir.ts';
import type { SecretStore } from '../infra/config/secrets.ts';
import { usesOwnServer } from '../infra/database/connections.ts';
import { lastWords } from '../infra/process/log-tail.ts';
import { readPostgresState } from '../infra/process/postgres-state.ts';
import { ProbeConnection } from '../infra/process/probe-connection.ts';
import type { ServiceSpec } from '../infra/process/spec.ts';
import { CancelledError, ConflictError, DatabaseUnavailableError, PreconditionError } from '../shared/errors.ts';
import { newId, type ServiceInstanceId } from '../shared/ids.ts';
import { errorToWire } from '../shared/wire.ts';
import { DatabaseRecordFile } from './supervisor/database-record.ts';
import { bindControlSocket, type Lock } from './supervisor/lock.ts';
import { defaultPolicy } from './supervisor/policy.ts';
import { Run } from './supervisor/run.ts';

export interface DatabaseAccess {
  readonly instance: Instance;
  readonly profile: Profile;
  readonly secrets: SecretStore;
  /** Whether a supervisor answers: then the database is its business. */
  readonly running: () => Promise<boolean>;
}

export interface AccessRequest {
  /** What is being done, as a sentence for whoever comes meanwhile: `The database is being migrated`. */
  readonly purpose: string;
  /** No supervisor may run, and none may start meanwhile. */
  readonly alone?: boolean;
  /** Ends it early: the database is stopped, and with it the work. Its reason is the name of a signal where there was one. */
  readonly signal?: AbortSignal;
  /** Told when the embedded server is started for this alone. */
  readonly started?: () => void;
}

/** How long to wait for another command that has the database to itself, in ms, and how often to look. */
const othersWaitMs = 60_000;
const othersPollMs = 200;
const heldReason = 'database_held';

/**
 * Runs `work` while the instance's database can be reached. Where nothing runs, the embedded server is started for just that
 * time and stopped again; the instance's lock is held meanwhile, so that no supervisor starts a second one beside it.
 * Another command that does the same is waited for.
 * @throws PreconditionError when it has to be alone and the system runs; ConflictError when another command does not end in
 *   time; DatabaseUnavailableError with the end of its log when the server does not start; CancelledError
 */
export async function withDatabase<T>(
  access: DatabaseAccess,
  request: AccessRequest,
  work: () => Promise<T>,
): Promise<T> {
  try {
    const own = usesOwnServer(access.profile);
    if (own && request.alone !== true) return await work();
    const lock = await lockUnlessRunning(access, request);
    if (lock === undefined) return await work();
    try {
      return own ? await work() : await withEmbedded(access, request, work);
    } finally {
      await lock.release();
    }
  } catch (error) {
    if (request.signal?.aborted !== true) throw error;
    const reason: unknown = request.signal.reason;
    throw new CancelledError('Interrupted', {
      ...(typeof reason === 'string' ? { data: { signal: reason } } : {}),
      cause: error,
    });
  }
}

/** @returns nothing when a supervisor runs, which may be; @throws PreconditionError when it may not */
async function lockUnlessRunning(access: DatabaseAccess, request: AccessRequest): Promise<Lock | undefined> {
  const deadline = performance.now() + othersWaitMs;
  for (;;) {
    try {
      if (await access.running()) {
        if (request.alone === true) throw stillRunning();
        return undefined;
      }
      await ensureRuntimeDir(access.instance);
      return await bindControlSocket(held(request.purpose), access.instance.controlSocket);
    } catch (error) {
      // Somebody was faster: another command, or a supervisor that starts, which the next look finds.
      if (!(error instanceof ConflictError) || performance.now() > deadline) throw error;
    }
    await delay(othersPollMs, undefined, request.signal === undefined ? {} : { signal: request.signal });
  }
}

function stillRunning(): PreconditionError {
  return new PreconditionError('The system is running: this changes the database under its services.', {
    hint: 'Stop it first; the database is started for as long as this takes.',
    next: ['infra services stop'],
  });
}

/** Answers whoever asks for a supervisor meanwhile. */
function held(purpose: string) {
  return createServer((_request, response) => {
    const error = new ConflictError(`${purpose} by process ${process.pid}.`, {
      hint: 'Try again in a moment.',
      next: ['infra services status'],
      data: { reason: heldReason },
    });
    response.writeHead(409, { 'content-type': 'application/json' }).end(JSON.stringify({ error: errorToWire(error) }));
  });
}

async function withEmbedded<T>(access: DatabaseAccess, request: AccessRequest, work: () => Promise<T>): Promise<T> {
  const { instance, profile, secrets } = access;
  const { databaseSpec } = await import('./supervisor/configuration.ts');
  const { embeddedPostgres } = await import('../infra/process/postgres.ts');
  // One that a killed supervisor left running serves as it is, and is the next supervisor's to take over.
  if ((await (await embeddedPostgres(instance, secrets)).running()) !== undefined) return await work();
  const spec = await databaseSpec(instance, profile, secrets);
  if (spec === undefined) return await work();
  request.signal?.throwIfAborted();
  const records = new DatabaseRecordFile(instance.runDir);
  const run = await start(access, spec, records);
  const ended = { signal: spec.stop.signal, graceMs: spec.stop.graceMs, killWaitMs: defaultPolicy.killWaitMs };
  let ending: Promise<unknown> | undefined;
  const end = (): Promise<unknown> => {
    ending ??= run.end(ended);
    return ending;
  };
  const interrupted = (): void => void end().catch(() => undefined); // told by the end below
  request.signal?.addEventListener('abort', interrupted, { once: true });
  if (request.signal?.aborted === true) interrupted();
  try {
    await untilReady(spec, run, request.signal);
    request.started?.();
    return await work();
  } finally {
    request.signal?.removeEventListener('abort', interrupted);
    await end();
    const { generation } = await records.read();
    await records.write({ generation, process: undefined });
  }
}

/** Starts it as a supervisor would, on record, so that one that comes after a crash of ours finds it. */
async function start(access: DatabaseAccess, spec: ServiceSpec, records: DatabaseRecordFile): Promise<Run> {
  const { instance, profile } = access;
  await spec.prepare?.(AbortSignal.timeout(spec.readyTimeoutMs));
  const instanceId = newId<ServiceInstanceId>();
  const command = await spec.command({ instanceId, port: undefined });
  const { artefactHash, configHash } = spec;
  const { id, root, logsDir } = instance;
  const facts = { instanceId, port: (await readPostgresState(instance))?.port, artefactHash, configHash };
  const run = await Run.spawn({ id, root, logsDir, profile: profile.name }, spec.name, command, facts);
  const { generation } = await records.read();
  await records.write({
    generation,
    process: { ...run.record, readyAt: undefined, readyMs: undefined },
  });
  return run;
}

async function untilReady(spec: ServiceSpec, run: Run, signal: AbortSignal | undefined): Promise<void> {
  const bound = AbortSignal.timeout(spec.readyTimeoutMs);
  const until = signal === undefined ? bound : AbortSignal.any([bound, signal]);
  const connection = new ProbeConnection();
  const { instanceId, port } = run.record;
  try {
    for (;;) {
      const timeoutMs = defaultPolicy.probeTimeoutMs;
      const result = await spec
        .probe({ instanceId, pid: run.pid, port, signal: until, timeoutMs, connection })
        .catch((error: unknown) => ({ ready: false as const, reason: reasonOf(error) }));
      if (result.ready && !run.ended) return;
      if (run.ended || until.aborted) throw notStarted(run, result.ready ? 'its process has ended' : result.reason);
      await delay(defaultPolicy.probeMinMs);
    }
  } finally {
    connection.close();
  }
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function notStarted(run: Run, reason: string): DatabaseUnavailableError {
  return new DatabaseUnavailableError(`PostgreSQL did not start: ${reason}`, {
    hint: 'The end of its log says why.',
    data: { reason: 'not_started', log: lastWords(run.logFile) },
  });
}
