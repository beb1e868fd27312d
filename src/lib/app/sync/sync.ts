import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { writeFileAtomic } from '../../infra/config/atomic-file.ts';
import { withFileLock } from '../../infra/config/file-lock.ts';
import { type Instance, packageServicesDir } from '../../infra/config/instance.ts';
import type { Database, Queryable } from '../../infra/database/connection.ts';
import { ConfigInvalidError, ConflictError } from '../../shared/errors.ts';
import { loadServices } from '../config/load-services.ts';
import { basesFile, readBases, writeBases } from './bases.ts';
import { type Body, bodyOf, isOfKind, readFilesOf, refuseDetour, type SyncKind } from './files.ts';
import { difference, merge } from './merge.ts';
import { type Direction, planSync, type Strategy, type SyncStep } from './plan.ts';
import { addVersion, bodyByDigest, currentBodies, lockStore } from './repository.ts';

export interface SyncRequest {
  readonly kind: SyncKind;
  readonly direction: Direction;
  readonly strategy?: Strategy | undefined;
  /** Only find out what would be done. */
  readonly dryRun: boolean;
  /** Who does it, for the versions. */
  readonly by: string;
}

/** The project's own, also where it has none yet: the package's is nobody's to change. */
function ownServicesDir({ root, servicesDir }: Pick<Instance, 'root' | 'servicesDir'>): string {
  return servicesDir === packageServicesDir() ? join(root, 'services') : servicesDir;
}

/** A step, and for what both sides have changed how they differ. */
export interface SyncedStep extends SyncStep {
  /** Lines of the database with `-`, of the files with `+`. */
  readonly difference?: readonly string[];
}

export interface SyncResult {
  readonly steps: readonly SyncedStep[];
  /** False: nothing was changed, by wish or for a conflict. */
  readonly done: boolean;
}

interface Work {
  readonly files: ReadonlyMap<string, Body>;
  readonly database: ReadonlyMap<string, Body>;
  readonly bases: ReadonlyMap<string, string>;
  readonly steps: readonly SyncedStep[];
  readonly merged: ReadonlyMap<string, Body>;
}

const shownLines = 40;

/**
 * Brings files of `services/` and the database together, file by file, against what both last had in common. All of it or
 * nothing: while a conflict is undecided, or when the files would not hold afterwards, no side is touched. What is
 * overwritten or deleted stays as a version in the database.
 * @throws ConfigInvalidError when the files do not hold, or would not; ConflictError when a file changes meanwhile;
 *   DatabaseUnavailableError
 */
export async function syncLocal(instance: Instance, db: Database, request: SyncRequest): Promise<SyncResult> {
  const lock = `${basesFile(instance.dir)}.lock`;
  return await withFileLock(lock, async () => {
    const { work, store } = await db.transaction(async (tx) => {
      const store = await lockStore(tx);
      const work = await prepare(instance, tx, store, request);
      if (!contested(work.steps)) await refuseDetours(instance, work.steps);
      if (!request.dryRun && !contested(work.steps)) {
        await requireValid(instance, work);
        for (const step of work.steps) await record(tx, step, work, request.by);
      }
      return { work, store };
    });
    const done = !request.dryRun && !contested(work.steps);
    // Every body is safe in the database by now. Whatever ends us here is made up for by the next run.
    if (done) {
      for (const step of work.steps) await carryOut(instance, step, work);
      await writeBases(instance.dir, store, newBases(work));
    }
    return { steps: work.steps, done };
  });
}

function contested(steps: readonly SyncStep[]): boolean {
  return steps.some(({ kind }) => kind === 'conflict');
}

/** @throws PreconditionError when a file that is to be written or deleted would be one outside of `services/` */
async function refuseDetours(instance: Instance, steps: readonly SyncStep[]): Promise<void> {
  for (const { path, kind, on } of steps) {
    if (on === 'files' || kind === 'merge') await refuseDetour(ownServicesDir(instance), path);
  }
}

async function prepare(instance: Instance, tx: Queryable, store: string, request: SyncRequest): Promise<Work> {
  const { kind, direction, strategy } = request;
  const files = await readFilesOf(ownServicesDir(instance), kind);
  const database = await currentBodies(tx, kind);
  const bases = await readBases(instance.dir, store);
  const mine = [...bases.keys()].filter((path) => isOfKind(path, kind));
  const paths = [...new Set([...files.keys(), ...database.keys(), ...mine])].sort();
  const sides = paths.map((path) => ({
    path,
    files: files.get(path)?.digest,
    database: database.get(path)?.digest,
    base: bases.get(path),
  }));
  const merged = new Map<string, Body>();
  const steps: SyncedStep[] = [];
  for (const step of planSync(sides, direction, strategy)) {
    const [ours, theirs] = [files.get(step.path), database.get(step.path)];
    if (step.kind === 'merge' && ours !== undefined && theirs !== undefined) {
      const base = await bodyByDigest(tx, step.path, bases.get(step.path) ?? '');
      const body = base === undefined ? undefined : merge(ours, base, theirs);
      if (body !== undefined) merged.set(step.path, body);
      else steps.push({ path: step.path, kind: 'conflict', difference: difference(ours, theirs, shownLines) });
      if (body === undefined) continue;
    }
    const both = step.kind === 'conflict' || step.contested === true;
    steps.push(both ? { ...step, difference: difference(ours, theirs, shownLines) } : step);
  }
  return { files, database, bases, steps, merged };
}

/** The files as they will be. */
function outcome({ files, database, steps, merged }: Work): Map<string, Body> {
  const next = new Map(files);
  for (const { path, kind, on } of steps) {
    const body = kind === 'merge' ? merged.get(path) : on === 'files' ? database.get(path) : files.get(path);
    if (body === undefined) next.delete(path);
    else next.set(path, body);
  }
  return next;
}

/** @throws ConfigInvalidError naming files and places as they will be */
async function requireValid(instance: Instance, work: Work): Promise<void> {
  const draft = await mkdtemp(join(tmpdir(), 'systemprompt-sync-'));
  try {
    // With everything that is not of the kind as it is now: a server and its agent are checked against each other.
    const all = new Map([...(await readFilesOf(ownServicesDir(instance), 'all')), ...outcome(work)]);
    for (const { path, kind, on } of work.steps) {
      if (on === 'files' && kind === 'delete') all.delete(path);
    }
    for (const [path, { bytes }] of all) {
      await mkdir(dirname(join(draft, path)), { recursive: true });
      await writeFile(join(draft, path), bytes, { mode: 0o600 });
    }
    await loadServices({ servicesDir: draft }).catch((error: unknown) => {
      if (!(error instanceof ConfigInvalidError)) throw error;
      const at = (file: string): string =>
        file.includes(draft) ? file.slice(file.indexOf(draft) + draft.length + 1) : file;
      throw new ConfigInvalidError(
        error.issues.map((issue) => ({
          ...issue,
          file: join(ownServicesDir(instance), at(issue.file)),
          message: issue.message.replaceAll(draft, ownServicesDir(instance)),
        })),
        { hint: 'Nothing was changed on either side.' },
      );
    });
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
}

/** Puts into the database what it is to have, and what would be lost otherwise; its own body is a version already. */
async function record(tx: Queryable, step: SyncedStep, work: Work, by: string): Promise<void> {
  const { path, kind, on } = step;
  const ours = work.files.get(path);
  const merged = work.merged.get(path);
  const overwritten = on === 'files' || kind === 'merge' ? ours : undefined;
  if (overwritten !== undefined && (await bodyByDigest(tx, path, overwritten.digest)) === undefined)
    await addVersion(tx, { path, body: overwritten, origin: 'files', prevailed: false, by });
  if (on === 'database') await addVersion(tx, { path, body: ours, origin: 'files', prevailed: true, by });
  if (kind === 'merge') await addVersion(tx, { path, body: merged, origin: 'merge', prevailed: true, by });
}

async function carryOut(instance: Instance, { path, kind, on }: SyncedStep, work: Work): Promise<void> {
  const body = kind === 'merge' ? work.merged.get(path) : on === 'files' ? work.database.get(path) : undefined;
  if (kind !== 'merge' && on !== 'files') return;
  await refuseDetour(ownServicesDir(instance), path);
  const file = join(ownServicesDir(instance), path);
  const now = await readFile(file).then(bodyOf, () => undefined);
  if (now?.digest !== work.files.get(path)?.digest) {
    throw new ConflictError(`${file} was changed while it was synced.`, {
      hint: 'Sync again: nothing of it was lost.',
    });
  }
  if (body === undefined) return await rm(file, { force: true });
  await mkdir(dirname(file), { recursive: true });
  await writeFileAtomic(file, body.bytes, 0o644);
}

/** What both sides have in common now. */
function newBases({ files, database, bases, steps, merged }: Work): Map<string, string> {
  const next = new Map(bases);
  for (const { path, kind, on } of steps) {
    if (kind === 'ahead' || kind === 'behind') continue;
    const body = kind === 'merge' ? merged.get(path) : on === 'files' ? database.get(path) : files.get(path);
    if (body === undefined) next.delete(path);
    else next.set(path, body.digest);
  }
  return next;
}
