import { randomUUID } from 'node:crypto';
import { readFile, realpath, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { writeFileAtomic } from '../../infra/config/atomic-file.ts';
import { withFileLock } from '../../infra/config/file-lock.ts';
import type { Instance } from '../../infra/config/instance.ts';
import { profileFile, requireProfile } from '../../infra/config/profile.ts';
import { profileFileSchema } from '../../infra/config/profile-schema.ts';
import { parseYamlText } from '../../infra/config/yaml.ts';
import { parseYamlDocument } from '../../infra/config/yaml-document.ts';
import { editLock, editYaml, type YamlChange } from '../../infra/config/yaml-edit.ts';
import { dottedPath } from '../../infra/config/yaml-path.ts';
import { displayPath, readYamlText } from '../../infra/config/yaml-source.ts';
import { ConfigInvalidError, type ConfigIssue, ConflictError } from '../../shared/errors.ts';
import { profileFindings } from '../config/profile-findings.ts';
import { shownValue } from './values.ts';

/** A field whose value in the file is another than before. */
export interface ChangedField {
  readonly field: string;
  /** As it may be shown; undefined where the field was, or is, not there. */
  readonly before?: string;
  readonly after?: string;
}

export interface EditedProfile {
  readonly file: string;
  readonly changes: readonly ChangedField[];
}

/**
 * Changes fields of a profile in place; everything else in its file stays as it is.
 * @throws NotFoundError; ConfigInvalidError with the findings of the file as it would be, and nothing is written
 */
export async function editProfile(
  project: Instance,
  name: string,
  changes: readonly YamlChange[],
): Promise<EditedProfile> {
  await requireProfile(project, name);
  const file = profileFile(project, name);
  const { before, after } = await editYaml(file, profileFileSchema, changes, {
    check: (edited, text) => profileFindings(project, name, edited, text),
  });
  return { file, changes: difference(before ?? '', after) };
}

/** A copy of a profile's file that a person edits. */
export class ProfileDraft implements AsyncDisposable {
  readonly file: string;
  /** Beside the profile, so that what the text refers to is found from it as well. */
  readonly copy: string;
  readonly #project: Instance;
  readonly #name: string;
  readonly #original: string;

  private constructor(project: Instance, name: string, file: string, original: string) {
    this.#project = project;
    this.#name = name;
    this.file = file;
    this.#original = original;
    this.copy = join(dirname(file), `.edit-${randomUUID()}.yaml`);
  }

  /** @throws NotFoundError when there is no such profile; ConfigInvalidError when it can't be read at all */
  static async open(project: Instance, name: string): Promise<ProfileDraft> {
    await requireProfile(project, name);
    const file = profileFile(project, name);
    const source = await readYamlText(file);
    if ('issue' in source) throw new ConfigInvalidError([source.issue]);
    const draft = new ProfileDraft(project, name, file, source.text);
    await writeFileAtomic(draft.copy, source.text, 0o600);
    return draft;
  }

  /** What is wrong with the copy as it is now, in terms of the profile's file. */
  async findings(): Promise<readonly ConfigIssue[]> {
    const source = await readYamlText(this.copy);
    const shown = displayPath(this.file);
    if ('issue' in source) return [{ ...source.issue, file: shown }];
    const parsed = parseYamlText(source.text, shown, profileFileSchema);
    if ('issues' in parsed) return parsed.issues;
    try {
      return await profileFindings(this.#project, this.#name, parsed, source.text);
    } catch (error) {
      if (error instanceof ConfigInvalidError) return error.issues;
      throw error;
    }
  }

  /**
   * Puts the copy in the place of the profile.
   * @throws ConflictError when somebody else has changed the profile meanwhile
   */
  async accept(): Promise<EditedProfile> {
    const text = await readFile(this.copy, 'utf8');
    if (text === this.#original) return { file: this.file, changes: [] };
    await withFileLock(editLock(await realpath(this.file)), async () => {
      if ((await readFile(this.file, 'utf8')) !== this.#original) {
        throw new ConflictError('The profile was changed by somebody else meanwhile; nothing was written.', {
          next: [`cloud profile show ${this.#name}`],
        });
      }
      await writeFileAtomic(this.file, text, 0o600);
    });
    return { file: this.file, changes: difference(this.#original, text) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.copy, { force: true });
  }
}

function difference(before: string, after: string): ChangedField[] {
  const [old, now] = [fieldsOf(before), fieldsOf(after)];
  const names = [...new Set([...old.keys(), ...now.keys()])];
  return names.flatMap((field) => {
    const [a, b] = [old.get(field), now.get(field)];
    if (isDeepStrictEqual(a, b)) return [];
    return [
      {
        field,
        ...(a === undefined ? {} : { before: shownValue(a) }),
        ...(b === undefined ? {} : { after: shownValue(b) }),
      },
    ];
  });
}

/** The fields that a file says, by their path. */
function fieldsOf(text: string): Map<string, unknown> {
  const fields = new Map<string, unknown>();
  const visit = (value: unknown, path: readonly string[]): void => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      if (path.length > 0 && value !== null) fields.set(dottedPath(path), value);
      return;
    }
    for (const [key, inner] of Object.entries(value)) visit(inner, [...path, key]);
  };
  visit(parseYamlDocument(text, '').document?.value, []);
  return fields;
}
