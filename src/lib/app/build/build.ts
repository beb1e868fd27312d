import { randomUUID } from 'node:crypto';
import { mkdir, readdir, rename, rm, stat } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { writeFileAtomic } from '../../infra/config/atomic-file.ts';
import { withFileLock } from '../../infra/config/file-lock.ts';
import { packageVersion } from '../../infra/config/package-root.ts';
import { CancelledError, type ConfigIssue } from '../../shared/errors.ts';
import { findModule } from '../supervisor/module-path.ts';
import {
  type ArtifactRecord,
  artifactFileName,
  isIntact,
  readArtifactRecord,
  type ServerFacts,
  sha256,
  sha256OfFile,
} from './artifact-file.ts';
import { type Compiled, type Compiler, compile, loadCompiler, locateCompiler } from './compile.ts';
import { crossChecks, inspectionIssues } from './cross-checks.ts';
import { inputFiles, inputsDigest } from './inputs.ts';
import { type InspectionLimits, inspectionLimits, inspectModule } from './inspection.ts';
import { type TypeIssues, typeIssues } from './type-check.ts';
import type { ExtensionPackage } from './workspace.ts';

export interface BuildRequest {
  /** The project's folder. */
  readonly root: string;
  /** The folder of the built systemprompt. */
  readonly packageRoot: string;
  readonly extensions: readonly ExtensionPackage[];
  /** Builds also what has not changed. */
  readonly force?: boolean;
  readonly limits?: InspectionLimits;
  /** How long to wait for another build of the project, in ms. */
  readonly waitMs?: number;
  readonly signal?: AbortSignal;
}

/** What came of one extension. */
export interface BuiltExtension {
  readonly name: string;
  /** `failed` leaves what was built before. */
  readonly state: 'built' | 'unchanged' | 'failed';
  readonly durationMs: number;
  /** Of the artefact that is there now. */
  readonly record: ArtifactRecord | undefined;
  /** Whether what runs would be another than before. */
  readonly changed: boolean;
  /** The enabled servers of services/mcp/ that run it. */
  readonly servers: readonly string[];
  readonly issues: readonly ConfigIssue[];
  /** What its author should know, though it stands against nothing. */
  readonly notes: readonly string[];
}

const stagePrefix = '.stage-';
const lockWaitMs = 120_000;
/** Saving while it is compiled makes another round necessary; nobody saves that often for long. */
const rounds = 5;

/**
 * Compiles and checks extensions, and puts what holds in the place of what was built before; what does not hold changes
 * nothing. Builds of one project take turns.
 * @throws PreconditionError when something has to be compiled and there is no esbuild; TimeoutError when another build takes too
 *   long; CancelledError
 */
export async function buildExtensions(request: BuildRequest): Promise<BuiltExtension[]> {
  const dist = join(request.root, 'dist');
  await mkdir(dist, { recursive: true });
  const work = async (): Promise<BuiltExtension[]> => {
    await removeStages(dist);
    let compiler: Promise<Compiler> | undefined;
    const compilerOnce = (): Promise<Compiler> => {
      compiler ??= loadCompiler(request.root);
      return compiler;
    };
    let types: Promise<TypeIssues> | undefined;
    const typesOnce = (): Promise<TypeIssues> => {
      types ??= typeIssues(request.root, request.signal);
      return types;
    };
    const results: BuiltExtension[] = [];
    const waiting = [...request.extensions.entries()];
    const worker = async (): Promise<void> => {
      for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
        if (request.signal?.aborted === true) throw new CancelledError('Interrupted', { data: { signal: 'SIGINT' } });
        const [index, extension] = next;
        results[index] = await buildOne(request, extension, compilerOnce, typesOnce);
      }
    };
    const ended = await Promise.allSettled(Array.from({ length: availableParallelism() }, worker));
    // Only when none works any more: under the lock nobody else may.
    const failure = ended.find((end) => end.status === 'rejected');
    if (failure !== undefined) throw failure.reason;
    return results;
  };
  return await withFileLock(join(dist, '.build.lock'), work, request.waitMs ?? lockWaitMs);
}

async function buildOne(
  request: BuildRequest,
  extension: ExtensionPackage,
  compiler: () => Promise<Compiler>,
  types: () => Promise<TypeIssues>,
): Promise<BuiltExtension> {
  const started = performance.now();
  const before = readArtifactRecord(extension.output);
  const failed = (issues: readonly ConfigIssue[]): BuiltExtension => {
    const durationMs = Math.round(performance.now() - started);
    return {
      name: extension.name,
      state: 'failed',
      durationMs,
      record: before,
      changed: false,
      servers: [],
      issues,
      notes: [],
    };
  };
  if (before !== undefined && request.force !== true && (await isCurrent(request.root, extension, before))) {
    const issues = await crossChecks(extension, before.server);
    return issues.length > 0 ? failed(issues) : done(request, extension, 'unchanged', before, before, started);
  }
  const dist = join(request.root, 'dist');
  const stage = join(dist, `${stagePrefix}${randomUUID()}`);
  // As deep as the place where it will lie, so that source maps lead to the sources from here as well.
  const folder = join(stage, ...relative(dist, extension.output).split(sep).slice(1));
  try {
    const made = await make(request, extension, await compiler(), types, folder);
    if ('issues' in made) return failed(made.issues);
    await publish(extension.output, folder, made.record, before);
    return done(request, extension, 'built', made.record, before, started);
  } finally {
    await rm(stage, { recursive: true, force: true });
  }
}

/** Whether what is there is what a build of the present sources would give. */
export async function isCurrent(root: string, extension: ExtensionPackage, record: ArtifactRecord): Promise<boolean> {
  const files = await inputFiles(root, extension, record.inputs);
  const versions = versionsWith(locateCompiler(root)?.version ?? record.versions.esbuild);
  return inputsDigest(root, extension, files, versions) === record.inputsDigest && isIntact(extension.output, record);
}

function versionsWith(esbuild: string): ArtifactRecord['versions'] {
  return { systemprompt: packageVersion(), esbuild };
}

async function make(
  { root, packageRoot, limits = inspectionLimits, signal }: BuildRequest,
  extension: ExtensionPackage,
  compiler: Compiler,
  types: () => Promise<TypeIssues>,
  folder: string,
): Promise<{ readonly record: ArtifactRecord } | { readonly issues: readonly ConfigIssue[] }> {
  const versions = versionsWith(compiler.version);
  const compiled = await compileSettled(compiler, root, extension, folder, versions);
  if ('issues' in compiled) return compiled;
  const places = { packageRoot, scratch: folder, cwd: root };
  const inspection = await inspectModule(join(folder, 'index.js'), places, limits, signal);
  if (!('server' in inspection)) return { issues: await inspectionIssues(root, extension, inspection, limits) };
  const byFile = await types();
  const issues = [
    ...(await crossChecks(extension, inspection.server)),
    // Of what went into the artefact alone: its tests, and what else the project has, are no matter of this build.
    ...compiled.inputs.flatMap((file) => byFile.get(resolve(root, file)) ?? []),
  ];
  if (issues.length > 0) return { issues };
  const record = recordOf(extension, inspection.server, folder, compiled, versions);
  return { record };
}

interface Settled extends Compiled {
  readonly inputsDigest: string;
}

/** Compiles until no source was written meanwhile, so that what is recorded is what was compiled. */
async function compileSettled(
  compiler: Compiler,
  root: string,
  extension: ExtensionPackage,
  folder: string,
  versions: ArtifactRecord['versions'],
): Promise<Settled | { readonly issues: readonly ConfigIssue[] }> {
  for (let round = 1; ; round += 1) {
    const began = Date.now();
    await rm(folder, { recursive: true, force: true });
    const compiled = await compile(compiler, root, extension, folder);
    if ('issues' in compiled) return compiled;
    const files = await inputFiles(root, extension, compiled.inputs);
    const digest = inputsDigest(root, extension, files, versions);
    const quiet = await unwrittenSince(root, files, began);
    if (quiet || round === rounds) return { ...compiled, inputsDigest: quiet ? digest : '' };
  }
}

/** The clock of files may lag by a tick of the kernel's. */
const tickMs = 10;

async function unwrittenSince(root: string, files: readonly string[], moment: number): Promise<boolean> {
  const times = await Promise.all(
    files.map(async (file) => (await stat(join(root, file)).catch(() => undefined))?.mtimeMs ?? 0),
  );
  return times.every((time) => time < moment - tickMs || time > moment + 86_400_000);
}

function recordOf(
  extension: ExtensionPackage,
  server: ServerFacts,
  folder: string,
  compiled: Settled,
  versions: ArtifactRecord['versions'],
): ArtifactRecord {
  const outputs = Object.fromEntries(compiled.files.map((file) => [file, sha256OfFile(join(folder, file)) ?? '']));
  const code = Object.entries(outputs).filter(([file]) => !file.endsWith('.map'));
  return {
    version: 1,
    name: extension.name,
    // The packages that are found at run time come with systemprompt, so its version stands for them.
    digest: sha256(JSON.stringify([code, extension.external, versions.systemprompt])),
    inputsDigest: compiled.inputsDigest,
    inputs: compiled.inputs,
    outputs,
    server,
    versions,
  };
}

/**
 * Moves a build into its place: chunks first, the index that imports them after them, the record last. Chunks of the build
 * before stay for processes that run from them.
 */
async function publish(
  output: string,
  folder: string,
  record: ArtifactRecord,
  before: ArtifactRecord | undefined,
): Promise<void> {
  const files = Object.keys(record.outputs);
  const last = (file: string): number => (file === 'index.js' ? 1 : 0);
  for (const file of files.toSorted((a, b) => last(a) - last(b))) {
    await mkdir(dirname(join(output, file)), { recursive: true });
    await rename(join(folder, file), join(output, file));
  }
  await writeFileAtomic(join(output, artifactFileName), `${JSON.stringify(record, undefined, 2)}\n`, 0o644);
  const kept = new Set([...files, ...Object.keys(before?.outputs ?? {})]);
  for (const entry of await readdir(join(output, 'chunks'), { withFileTypes: true }).catch(() => [])) {
    if (!kept.has(`chunks/${entry.name}`)) await rm(join(output, 'chunks', entry.name), { force: true });
  }
}

function done(
  { root, packageRoot }: BuildRequest,
  extension: ExtensionPackage,
  state: 'built' | 'unchanged',
  record: ArtifactRecord,
  before: ArtifactRecord | undefined,
  started: number,
): BuiltExtension {
  const built = join(extension.output, 'index.js');
  const notes = extension.configured
    .filter(({ module }) => findModule([root, packageRoot], module) !== built)
    .map(
      ({ name, module, moduleAt }) =>
        `${name} runs ${module}, not what is built: write module: ${relative(root, extension.folder)} (${moduleAt.file}:${moduleAt.line}:${moduleAt.column})`,
    );
  if (extension.configured.length === 0) notes.push(`${extension.name} is run by no server of services/mcp/`);
  const changed = before?.digest !== record.digest;
  const durationMs = Math.round(performance.now() - started);
  const servers = extension.configured.filter(({ enabled }) => enabled).map(({ name }) => name);
  return { name: extension.name, state, durationMs, record, changed, servers, issues: [], notes };
}

/** Left by a build that was killed; under the lock nobody else has one. */
async function removeStages(dist: string): Promise<void> {
  const left = (await readdir(dist)).filter((name) => name.startsWith(stagePrefix));
  await Promise.all(left.map((name) => rm(join(dist, name), { recursive: true, force: true })));
}
