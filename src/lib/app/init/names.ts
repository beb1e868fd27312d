import { basename } from 'node:path';
import { UsageError } from '../../shared/errors.ts';
import { serverNameForm } from '../../shared/server-name.ts';

/** Names that npm or the product gives to something else. */
const taken = ['systemprompt', 'zod', 'esbuild', 'registry'];

/** Why a name can't be one; `undefined` when it can. */
export function nameFault(name: string): string | undefined {
  if (!serverNameForm.test(name))
    return 'Write lower-case letters, digits and dashes, beginning with a letter, at most 50 of them';
  return taken.includes(name) ? `${name} is the name of something else: choose another` : undefined;
}

/** @throws UsageError for what can't be a name */
export function checkName(name: string): string {
  const fault = nameFault(name);
  if (fault === undefined) return name;
  throw new UsageError(`--name can't be ${JSON.stringify(name).slice(0, 100)}`, { hint: fault });
}

/** The name that a folder suggests. @param folder absolute */
export function nameOfFolder(folder: string): string {
  const plain = basename(folder)
    .toLowerCase()
    .replace(/[^a-z0-9-]+/g, '-')
    .replace(/^[^a-z]+|-+$/g, '')
    .slice(0, 50);
  return nameFault(plain) === undefined ? plain : 'my-project';
}
