import { existsSync } from 'node:fs';
import { mkdir, readFile, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { parse } from 'yaml';
import { writeFileAtomic } from '../../infra/config/atomic-file.ts';
import { type Instance, resolveServicesDir, servicesDirOf } from '../../infra/config/instance.ts';
import { loadProfile } from '../../infra/config/profile.ts';
import type { ProfileFile } from '../../infra/config/profile-schema.ts';
import { secretReference } from '../../infra/config/secret-reference.ts';
import type { ParsedYaml } from '../../infra/config/yaml.ts';
import { editYaml, type YamlChange } from '../../infra/config/yaml-edit.ts';
import { dottedPath } from '../../infra/config/yaml-path.ts';
import { displayPath } from '../../infra/config/yaml-source.ts';
import type { ConfigIssue } from '../../shared/errors.ts';
import { settle } from './effective.ts';
import { refuseSecret, typedValue } from './given-value.ts';
import { loadServices } from './load-services.ts';
import { profileFindings } from './profile-findings.ts';
import { redactConfiguration } from './redact.ts';
import { type ChangeTarget, changeTarget } from './target.ts';
import type { ConfigNode, ConfigPath } from './types.ts';

/** What is to change, by its path in the whole configuration. A text is read as the field's type asks for. */
export type ConfigChange =
  | { readonly path: ConfigPath; readonly text: string }
  | { readonly path: ConfigPath; readonly value: unknown }
  | { readonly path: ConfigPath; readonly unset: true };

/** A value in a file, before and after, without secrets; null where the file does not have it. */
export interface ChangedValue {
  readonly path: string;
  readonly before: ConfigNode;
  readonly after: ConfigNode;
}

/** When a change is in force: `start` needs a stop and a start, `reconcile` is what a running system does by itself or when told. */
export type Effect = 'none' | 'reconcile' | 'start';

export interface AppliedChange {
  /** The files that were changed, or would be. */
  readonly files: readonly string[];
  readonly changes: readonly ChangedValue[];
  readonly effect: Effect;
}

export interface ChangeContext {
  readonly instance: Instance;
  readonly profileName: string;
  readonly env: NodeJS.ProcessEnv;
}

/** What the supervisor reads when it starts, and not again while it runs. */
const atStart = ['database.url', 'tenant'];
/** What is only shown. */
const shownOnly = ['name', 'display_name'];

/**
 * Changes values of the configuration in the files that hold them: all changes to one file as one step, after a check of
 * everything as it would be then.
 * @throws ConfigInvalidError with what would be wrong, and nothing is written; UsageError for a secret that would be
 *   written out; NotFoundError for a section that there is not
 */
export async function changeConfiguration(
  context: ChangeContext,
  changes: readonly ConfigChange[],
  { dryRun }: { readonly dryRun: boolean },
): Promise<AppliedChange> {
  interface Edit {
    readonly target: ChangeTarget;
    readonly changes: YamlChange[];
    /** The paths in the whole configuration, in the same order. */
    readonly names: ConfigPath[];
  }
  const targets = new Map<string, Edit>();
  for (const change of changes) {
    const target = await changeTarget(context.instance, context.profileName, change.path);
    const entry = targets.get(target.file) ?? { target, changes: [], names: [] };
    entry.changes.push(typedChange(change, target));
    entry.names.push(change.path);
    targets.set(target.file, entry);
  }
  const changed: ChangedValue[] = [];
  for (const { target, changes: edits, names } of targets.values()) {
    const paths = edits.map(({ path }) => path);
    if (target.kind === 'services') {
      // What is in no file can't be taken out of one.
      if (edits.every((edit) => 'unset' in edit) && !existsSync(target.file)) continue;
      await keepSections(target.file, edits);
    }
    const made = dryRun ? undefined : await mkdir(dirname(target.file), { recursive: true });
    const edit = await editYaml(target.file, target.schema, edits, {
      dryRun,
      textIncludes: true,
      create: target.kind === 'services',
      check: (edited, text) => findingsWith(context, target, { edited, text }),
    }).catch(async (error: unknown) => {
      // The folder of a skill without its file would be a fault of its own.
      if (made !== undefined) await rm(made, { recursive: true, force: true });
      throw error;
    });
    const [before, after] = [edit.before ?? '', edit.after].map((text) => plain(text));
    for (const [index, path] of paths.entries()) {
      const [old, now] = [valueAt(before, path), valueAt(after, path)];
      if (isDeepStrictEqual(old, now)) continue;
      changed.push({ path: dottedPath(names[index] ?? path), before: shown(path, old), after: shown(path, now) });
    }
  }
  if (!dryRun) await removeEmpty(context, [...targets.keys()]);
  const files = changed.length === 0 ? [] : [...targets.keys()].map((file) => displayPath(file));
  return { files, changes: changed, effect: effectOf(changed.map(({ path }) => path)) };
}

/** A file of `services/` has its section, be it empty: what is unset must not take it along. */
async function keepSections(file: string, edits: YamlChange[]): Promise<void> {
  const text = await readFile(file, 'utf8').catch(() => '');
  for (const [index, edit] of edits.entries()) {
    const [section] = edit.path;
    if (!('unset' in edit) || section === undefined || edit.path.length < 2) continue;
    if (valueAt(plain(text), edit.path) === undefined) continue;
    const ways = edit.path.map((_, depth) => valueAt(plain(text), edit.path.slice(0, depth)));
    if (ways.slice(1).every((way) => typeof way === 'object' && way !== null && Object.keys(way).length === 1))
      edits[index] = { path: [section], value: {} };
  }
}

/** A file of servers in which nothing is left, no comment either, goes; unless something includes it by name. */
async function removeEmpty({ instance, profileName, env }: ChangeContext, files: readonly string[]): Promise<void> {
  for (const file of files) {
    const text = await readFile(file, 'utf8').catch(() => '');
    if (text.trim() !== 'mcp_servers: {}') continue;
    const profile = await settle(loadProfile(instance, profileName, env));
    const { mode } = await stat(file);
    await rm(file);
    const services = await settle(loadServices(instance, 'value' in profile ? { profile: profile.value } : {}));
    if ('issues' in services) await writeFileAtomic(file, text, mode & 0o777);
  }
}

function effectOf(paths: readonly string[]): Effect {
  if (paths.some((path) => atStart.includes(path) || path === 'database')) return 'start';
  return paths.every((path) => shownOnly.includes(path)) ? 'none' : 'reconcile';
}

/** Everything that would be wrong if the file had this text. */
async function findingsWith(
  { instance, profileName, env }: ChangeContext,
  { kind, file }: ChangeTarget,
  { edited, text }: { readonly edited: ParsedYaml<unknown>; readonly text: string },
): Promise<readonly ConfigIssue[]> {
  if (kind === 'profile') {
    const issues = await profileFindings(instance, profileName, edited as ParsedYaml<ProfileFile>, text);
    if (issues.length > 0) return issues;
    // Ranges of ports are in the profile, the ports in services/: what is wrong there already is another matter.
    const before = await settle(loadServices(instance));
    const { value } = edited as ParsedYaml<ProfileFile>;
    const servicesDir = resolveServicesDir(instance.root, value.paths.services) ?? servicesDirOf(instance.root);
    const services = await settle(loadServices({ servicesDir }, { profile: value }));
    return 'issues' in services && !('issues' in before) ? services.issues : [];
  }
  const profile = await settle(loadProfile(instance, profileName, env));
  const options = 'value' in profile ? { profile: profile.value } : {};
  const services = await settle(loadServices(instance, { ...options, texts: new Map([[file, text]]) }));
  return 'issues' in services ? services.issues : [];
}

/** A change with its value typed as the schema asks for, and with no secret in it. */
function typedChange(change: ConfigChange, target: ChangeTarget): YamlChange {
  if ('unset' in change) return { path: target.path, unset: true };
  const value = 'text' in change ? typedValue(change.text, target) : change.value;
  refuseSecret(change.path, value);
  return { path: target.path, value };
}

function shown(path: ConfigPath, value: unknown): ConfigNode {
  if (value === undefined) return null;
  if (typeof value === 'string' && secretReference(value) !== undefined) return value;
  const nested = path.reduceRight<unknown>((inner, step) => ({ [step]: inner }), value);
  return valueAt(redactConfiguration(nested), path) as ConfigNode;
}

/** What a file says; it has been read without a fault. */
function plain(text: string): unknown {
  return parse(text, {
    customTags: [{ tag: '!include', resolve: (path: string) => `!include ${path}` }],
    logLevel: 'silent',
  }) as unknown;
}

function valueAt(value: unknown, path: ConfigPath): unknown {
  let current = value;
  for (const step of path) {
    if (typeof current !== 'object' || current === null || !Object.hasOwn(current, step)) return undefined;
    current = (current as Record<string | number, unknown>)[step];
  }
  return current;
}
