import Conf from 'conf';
import { UsageError } from '../../shared/errors.ts';
import { nearest } from '../../shared/nearest.ts';
import { readUserSettings, type UserSettingName, userSettingDefinitions, userSettingsFolder } from './user-settings.ts';

const names = Object.keys(userSettingDefinitions) as UserSettingName[];

/** The user's settings, to be changed: every change is written as one step, into a file that is its owner's alone. */
export class UserSettingsStore {
  readonly #conf: Conf<Record<string, unknown>>;

  constructor(env: NodeJS.ProcessEnv) {
    // Puts a broken file aside, which this library would either throw at or throw away.
    readUserSettings(env);
    this.#conf = new Conf({ cwd: userSettingsFolder(env), configName: 'settings', configFileMode: 0o600 });
  }

  get file(): string {
    return this.#conf.path;
  }

  /** @throws UsageError for a name or a value that there is not */
  set(name: string, text: string): string | boolean {
    const { values } = userSettingDefinitions[settingName(name)];
    const value = values.find((one) => String(one) === text);
    if (value === undefined) {
      throw new UsageError(`${name} can't be '${text.slice(0, 80)}'`, {
        hint: `It is one of: ${values.join(', ')}`,
        next: ['settings list'],
      });
    }
    this.#conf.set(name, value);
    return value;
  }

  /** @returns whether it was set. @throws UsageError for a name that there is not */
  unset(name: string): boolean {
    const known = settingName(name);
    const was = this.#conf.has(known);
    this.#conf.delete(known);
    return was;
  }
}

/** @throws UsageError with the nearest names */
export function settingName(name: string): UserSettingName {
  const found = names.find((one) => one === name);
  if (found !== undefined) return found;
  const close = nearest(name, names);
  throw new UsageError(`There is no setting '${name.slice(0, 80)}'`, {
    hint: close.length > 0 ? `Did you mean ${close.join(' or ')}?` : `There is: ${names.join(', ')}`,
    next: ['settings list'],
  });
}
