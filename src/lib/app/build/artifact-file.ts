import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

// Read by the supervisor before each reconcile: node's own modules only.

/** What `build mcp` knows of an extension that it has built; lies as {@link artifactFileName} beside the module. */
export interface ArtifactRecord {
  readonly version: 1;
  readonly name: string;
  /** What runs: the built files (source maps apart) and the packages that they find at run time. The same code has the same digest. */
  readonly digest: string;
  /** What it was made from: while that stays the same nothing has to be built. */
  readonly inputsDigest: string;
  /** Files that were compiled, relative to the project. */
  readonly inputs: readonly string[];
  /** SHA-256 of every built file, by its path beside this record. */
  readonly outputs: Readonly<Record<string, string>>;
  readonly server: ServerFacts;
  readonly versions: { readonly systemprompt: string; readonly esbuild: string };
}

/** What the module said about itself when it was loaded. */
export interface ServerFacts {
  readonly name: string;
  readonly version: string;
  readonly contract: number;
  readonly tools: readonly string[];
}

export const artifactFileName = 'artifact.json';

/** The record in a folder; `undefined` when there is none, or what is there is none of ours. */
export function readArtifactRecord(folder: string): ArtifactRecord | undefined {
  try {
    const value: unknown = JSON.parse(readFileSync(join(folder, artifactFileName), 'utf8'));
    return isRecord(value) ? value : undefined;
  } catch {
    return undefined; // nothing built, or not by us: whoever asks looks at the files themselves then
  }
}

function isRecord(value: unknown): value is ArtifactRecord {
  if (typeof value !== 'object' || value === null) return false;
  const { version, name, digest, inputsDigest, inputs, outputs, server, versions } = value as Partial<
    Record<keyof ArtifactRecord, unknown>
  >;
  const texts = [name, digest, inputsDigest].every((text) => typeof text === 'string');
  const parts = [outputs, server, versions].every((part) => typeof part === 'object' && part !== null);
  return version === 1 && texts && parts && isTexts(inputs) && Object.keys(outputs as object).every(isBeside);
}

function isTexts(value: unknown): boolean {
  return Array.isArray(value) && value.every((item) => typeof item === 'string');
}

/** A record names files of its own folder, no others. */
function isBeside(path: string): boolean {
  return !path.startsWith('/') && !path.split(/[\\/]/).includes('..');
}

/** Whether every file that the record names is there as it was built. */
export function isIntact(folder: string, { outputs }: ArtifactRecord): boolean {
  return Object.entries(outputs).every(([file, digest]) => sha256OfFile(join(folder, file)) === digest);
}

/**
 * What tells one state of an extension's module from another. For a built one it is the digest of all of its files, as long
 * as they are what was built; else the contents of the module and of whatever the record beside it names.
 */
export function artifactParts(module: string): readonly (string | Uint8Array)[] {
  const folder = dirname(module);
  const record = readArtifactRecord(folder);
  if (record === undefined || !Object.keys(record.outputs).some((file) => join(folder, file) === module))
    return [readFileSync(module)];
  if (isIntact(folder, record)) return [record.digest];
  return [readFileSync(module), ...Object.keys(record.outputs).map((file) => sha256OfFile(join(folder, file)) ?? '')];
}

export function sha256(bytes: string | Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** @returns undefined when the file can't be read */
export function sha256OfFile(path: string): string | undefined {
  try {
    return sha256(readFileSync(path));
  } catch {
    return undefined; // missing counts as another content than any
  }
}
