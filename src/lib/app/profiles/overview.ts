import { activeProfile } from '../../infra/config/active-profile.ts';
import type { Instance } from '../../infra/config/instance.ts';
import { loadProfile, type Profile, profileFile, profileNames, requireProfile } from '../../infra/config/profile.ts';
import { readTenants } from '../../infra/config/tenants-file.ts';
import { parseYamlDocument, type YamlDocument } from '../../infra/config/yaml-document.ts';
import { displayPath, readYamlText } from '../../infra/config/yaml-source.ts';
import { ConfigInvalidError, type ConfigIssue } from '../../shared/errors.ts';
import { shownValue } from './values.ts';

/** One profile of a project. */
export interface ProfileEntry {
  readonly name: string;
  /** Whether commands mean it that say nothing else. */
  readonly active: boolean;
  /** Absent while there are findings. */
  readonly profile?: Profile;
  readonly issues: readonly ConfigIssue[];
}

/** The profiles of a project, each with what is wrong with it. @param active the name of the active one */
export async function profileEntries(project: Instance, active: string): Promise<ProfileEntry[]> {
  const names = await profileNames(project);
  return await Promise.all(
    names.map(async (name) => ({ name, active: name === active, ...(await read(project, name)) })),
  );
}

/** What is wrong with a profile. @throws NotFoundError when there is none of that name */
export async function profileFindings(project: Instance, name: string): Promise<readonly ConfigIssue[]> {
  await requireProfile(project, name);
  return (await read(project, name)).issues;
}

async function read(project: Instance, name: string): Promise<Pick<ProfileEntry, 'profile' | 'issues'>> {
  try {
    const profile = await loadProfile(project, name, {});
    return { profile, issues: await tenantIssues(project, name, profile.tenant) };
  } catch (error) {
    if (error instanceof ConfigInvalidError) return { issues: error.issues };
    throw error;
  }
}

async function tenantIssues(project: Instance, name: string, tenant: string): Promise<ConfigIssue[]> {
  const tenants = await readTenants(project);
  if (tenants.some(({ id }) => id === tenant)) return [];
  const file = profileFile(project, name);
  const { line, column } = (await documentOf(file))?.locate(['tenant']) ?? { line: 1, column: 1 };
  const hint = `there is: ${tenants.map(({ id }) => id).join(', ')}`;
  return [{ file: displayPath(file), line, column, message: `the tenant \`${tenant}\` does not exist`, hint }];
}

/** One setting of a profile: its value, and where it comes from. */
interface ProfileSetting {
  readonly field: string;
  readonly value: string;
  readonly origin: 'file' | 'environment' | 'default';
  /** In the profile's file, for what it says. */
  readonly line?: number;
}

export interface ProfileSettings {
  readonly profile: Profile;
  readonly file: string;
  readonly settings: readonly ProfileSetting[];
}

/**
 * All settings of a profile, with the defaults of what its file does not say.
 * @throws NotFoundError, ConfigInvalidError
 */
export async function profileSettings(
  project: Instance,
  name: string,
  env: NodeJS.ProcessEnv,
): Promise<ProfileSettings> {
  const profile = await loadProfile(project, name, env);
  const file = profileFile(project, name);
  const document = await documentOf(file);
  const settings: ProfileSetting[] = [];
  const visit = (value: unknown, path: readonly string[]): void => {
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
      for (const [key, inner] of Object.entries(value)) visit(inner, [...path, key]);
      return;
    }
    const field = path.join('.');
    const said = { field, value: shownValue(value) };
    const given = field === 'server.port' && (env['SYSTEMPROMPT_SERVER_PORT'] ?? '') !== '';
    if (given) settings.push({ ...said, origin: 'environment' });
    else if (document?.has(path) !== true) settings.push({ ...said, origin: 'default' });
    else settings.push({ ...said, origin: 'file', line: document.locate(path).line });
  };
  visit(profile, []);
  return { profile, file, settings };
}

async function documentOf(file: string): Promise<YamlDocument | undefined> {
  const source = await readYamlText(file);
  return 'text' in source ? parseYamlDocument(source.text, file).document : undefined;
}

/** The profile that commands mean in a folder that say nothing by flag or environment. */
export function selectedProfile(project: Instance, cwd: string): ReturnType<typeof activeProfile> {
  return activeProfile(project, { cwd, env: {} });
}
