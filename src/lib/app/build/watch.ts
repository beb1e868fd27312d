import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { ConfigInvalidError, type ConfigIssue } from '../../shared/errors.ts';
import { readArtifactRecord } from './artifact-file.ts';
import type { BuiltExtension } from './build.ts';
import { filesUnder } from './inputs.ts';
import type { BuildRun, BuildSession } from './session.ts';
import type { ExtensionPackage } from './workspace.ts';

/** One round of a watching build. */
export interface WatchRound {
  readonly results: readonly BuiltExtension[];
  /** What is wrong with the workspace or with extensions; what runs stays as it is. */
  readonly issues: readonly ConfigIssue[];
  readonly durationMs: number;
}

/** How often the files are looked at, in ms: cheap for what a project has, and the same on every file system. */
const pollMs = 250;
/** An editor may write a file in several steps. */
const settleMs = 60;

/**
 * Builds, and builds again whenever a file of the workspace has changed, until the signal fires. A round that changed
 * nothing is not told, but the first.
 * @throws what a build throws except for findings in files, which are part of the round
 */
export async function* watchBuild(
  session: BuildSession,
  signal: AbortSignal,
): AsyncGenerator<WatchRound, void, undefined> {
  let watched: Watched = { extensions: [], files: [], services: undefined };
  let first = true;
  while (!signal.aborted) {
    const before = await snapshot(session.root, watched);
    const started = performance.now();
    const round = await oneRound(session, signal, (extensions, files, services) => {
      watched = { extensions, files, services };
    });
    if (signal.aborted) return;
    const told = first || round.issues.length > 0 || round.results.some(({ state }) => state !== 'unchanged');
    if (told) yield { ...round, durationMs: Math.round(performance.now() - started) };
    first = false;
    await changeSince(before, session.root, watched, signal);
  }
}

async function oneRound(
  session: BuildSession,
  signal: AbortSignal,
  onExtensions: NonNullable<BuildRun['onExtensions']>,
): Promise<Omit<WatchRound, 'durationMs'>> {
  try {
    const results = await session.run({ signal, onExtensions });
    return { results, issues: results.flatMap(({ issues }) => issues) };
  } catch (error) {
    if (error instanceof ConfigInvalidError) return { results: [], issues: error.issues };
    if (signal.aborted) return { results: [], issues: [] };
    throw error;
  }
}

/** What a round has learned to watch beside the folders of the project. */
interface Watched {
  readonly extensions: readonly ExtensionPackage[];
  readonly files: readonly string[];
  /** The folder of configuration as code. */
  readonly services: string | undefined;
}

type Snapshot = ReadonlyMap<string, string>;

/** Waits until a file is another than in the snapshot, and then until nothing is written for a moment. */
async function changeSince(before: Snapshot, root: string, watched: Watched, signal: AbortSignal): Promise<void> {
  // A first build learns only now which files it stands on: those count from here on.
  let known = before;
  let now = await snapshot(root, watched);
  known = new Map([...now, ...before]);
  while (!signal.aborted && same(known, now)) {
    await delay(pollMs, undefined, { signal }).catch(() => undefined);
    now = await snapshot(root, watched);
  }
  for (let last = now; !signal.aborted; last = now) {
    await delay(settleMs, undefined, { signal }).catch(() => undefined);
    now = await snapshot(root, watched);
    if (same(last, now)) return;
  }
}

function same(a: Snapshot, b: Snapshot): boolean {
  return a.size === b.size && [...a].every(([file, state]) => b.get(file) === state);
}

async function snapshot(root: string, { extensions, files: read, services }: Watched): Promise<Snapshot> {
  const compiled = extensions.flatMap(({ output }) => readArtifactRecord(output)?.inputs ?? []);
  const files = new Set([
    ...(await filesUnder(join(root, 'extensions'))),
    ...(await filesUnder(services ?? join(root, 'services'))),
    ...read,
    ...extensions.map(({ entry }) => entry),
    ...[...compiled, 'package.json', 'tsconfig.json'].map((file) => join(root, file)),
  ]);
  const states = await Promise.all(
    [...files].map(async (file): Promise<[string, string]> => {
      const found = await stat(file).catch(() => undefined);
      return [file, found === undefined ? 'missing' : `${found.mtimeMs} ${found.size} ${found.ino}`];
    }),
  );
  return new Map(states.sort(([a], [b]) => (a < b ? -1 : 1)));
}
