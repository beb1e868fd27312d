import { readFileSync, renameSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

// Read by every command: no library is loaded here. user-settings-store.ts changes the file.

/** What a user may set for all projects. */
export interface UserSettings {
  /** How results are printed. */
  readonly output?: 'text' | 'json';
  /** `auto`: at a terminal. */
  readonly colours?: 'auto' | 'always' | 'never';
  /** Whether a newer version is told of. */
  readonly update_notice?: boolean;
}
export type UserSettingName = keyof UserSettings;

interface Definition {
  readonly summary: string;
  readonly values: readonly (string | boolean)[];
  readonly preset: string | boolean;
}

/** Every setting, with what it may be. */
export const userSettingDefinitions: Readonly<Record<UserSettingName, Definition>> = {
  output: { summary: 'How results are printed', values: ['text', 'json'], preset: 'text' },
  colours: {
    summary: 'When colours are used; auto: at a terminal',
    values: ['auto', 'always', 'never'],
    preset: 'auto',
  },
  update_notice: { summary: 'Tell once a day of a newer version', values: [true, false], preset: true },
};

/** The folder of the user's settings (XDG Base Directory Specification). */
export function userSettingsFolder(env: NodeJS.ProcessEnv): string {
  const config = env['XDG_CONFIG_HOME'];
  // A relative path is to be ignored, says the specification.
  const base = config?.startsWith('/') ? config : join(env['HOME'] || homedir(), '.config');
  return join(base, 'systemprompt');
}

/** Where the settings are kept. */
export function userSettingsFile(env: NodeJS.ProcessEnv): string {
  return join(userSettingsFolder(env), 'settings.json');
}

export interface ReadSettings {
  readonly settings: UserSettings;
  /** What the user has to know about the file; nothing when it is good, or not there. */
  readonly trouble?: string;
}

/**
 * The user's settings; never fails. A file that can't be read as JSON is put aside under another name, and named; of a
 * setting with a value that it can't have, the default holds.
 */
export function readUserSettings(env: NodeJS.ProcessEnv): ReadSettings {
  const file = userSettingsFile(env);
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    return code === 'ENOENT' || code === 'ENOTDIR'
      ? { settings: {} }
      : { settings: {}, trouble: `Settings: ${message}` };
  }
  let stored: unknown;
  try {
    stored = JSON.parse(text);
  } catch {
    stored = undefined;
  }
  if (typeof stored !== 'object' || stored === null || Array.isArray(stored)) return keptAside(file);
  const settings: Record<string, unknown> = {};
  const wrong: string[] = [];
  for (const [name, { values }] of Object.entries(userSettingDefinitions)) {
    const value = (stored as Record<string, unknown>)[name];
    if (value === undefined) continue;
    if ((values as readonly unknown[]).includes(value)) settings[name] = value;
    else wrong.push(`${name} must be ${values.join(' or ')}`);
  }
  if (wrong.length === 0) return { settings };
  return { settings, trouble: `${file}: ${wrong.join('; ')}. The default holds instead` };
}

function keptAside(file: string): ReadSettings {
  const aside = `${file}.broken-${new Date().toISOString().replaceAll(/[:.]/g, '-')}`;
  try {
    renameSync(file, aside);
    return { settings: {}, trouble: `The settings in ${file} could not be read; the file is kept as ${aside}` };
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return { settings: {} }; // another command was there first, and told
    return { settings: {}, trouble: `The settings in ${file} could not be read, nor put aside: ${message}` };
  }
}
