import { randomUUID } from 'node:crypto';
import { mkdir, readdir, rename, rm } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { pathToFileURL } from 'node:url';
import { PreconditionError } from '../../shared/errors.ts';
import { syncFolder, writeFileAtomic } from './atomic-file.ts';
import { firstMasterKey } from './master-key/first.ts';
import { packageRoot } from './package-root.ts';
import { firstSecrets } from './secrets/names.ts';
import { openSecretStore } from './secrets.ts';

const FINAL = '.systemprompt';
const DRAFT = /^\.systemprompt\.new-(\d+)-[0-9a-f-]+$/;

/**
 * Builds `<root>/.systemprompt` in a folder beside it and moves it into place in one rename, which fails when another
 * creator was first; then that one's stands and ours is thrown away.
 * @throws PreconditionError when the folder can't be written
 */
export async function buildInstance(root: string, env: NodeJS.ProcessEnv): Promise<void> {
  const draft = join(root, `${FINAL}.new-${process.pid}-${randomUUID()}`);
  try {
    await removeDrafts(root);
    await mkdir(draft, { mode: 0o700 });
    try {
      await fill(draft, root, env);
      await rename(draft, join(root, FINAL));
    } catch (error) {
      await rm(draft, { recursive: true, force: true });
      // rename(2): the new path is a directory with entries in it.
      const code = (error as NodeJS.ErrnoException).code;
      if (code !== 'ENOTEMPTY' && code !== 'EEXIST') throw error;
    }
    await syncFolder(root);
  } catch (error) {
    throw cannotCreate(root, error);
  }
}

async function fill(dir: string, root: string, env: NodeJS.ProcessEnv): Promise<void> {
  // First of all, so that not even a draft left behind by a crash can be committed.
  await writeFileAtomic(join(dir, '.gitignore'), '*\n', 0o600);
  for (const folder of ['profiles', 'profiles/local', 'sessions', 'run', 'logs', 'data']) {
    await mkdir(join(dir, folder), { mode: 0o700 });
  }
  await firstMasterKey(dir, env);
  await (await openSecretStore({ dir }, env)).setMany(firstSecrets());
  await writeJson(join(dir, 'tenants.json'), { tenants: [{ id: 'local', name: 'local', tenant_type: 'local' }] });
  await writeFileAtomic(join(dir, 'profiles/local/profile.yaml'), localProfile(root), 0o600);
  await writeJson(join(dir, 'instance.json'), { id: randomUUID(), createdAt: new Date().toISOString() });
}

function writeJson(file: string, value: unknown): Promise<void> {
  return writeFileAtomic(file, `${JSON.stringify(value, undefined, 2)}\n`, 0o600);
}

/** Says only what is not a default; the comments show what a user changes first. */
function localProfile(root: string): string {
  return `# yaml-language-server: $schema=${schemaReference(root)}
# Every field, its default and its range: docs/configuration.md. Without a field its default holds.
name: local

server:
  host: localhost
  port: 8080
  # The address that clients use, when it is not http://localhost:<port>:
  # external_url: https://prompt.example.com

# A PostgreSQL server of your own instead of the embedded one (a secret, or the URL as it is):
# database:
#   url: \${secret:database.url}
`;
}

/** Relative when the package lies in the project, so that the folder can be moved; else a file URL. */
function schemaReference(root: string): string {
  const schema = join(packageRoot(), 'schemas/profile.schema.json');
  const path = relative(root, schema);
  return path.startsWith('..') ? pathToFileURL(schema).href : join('../../..', path);
}

/** What creators left behind that were killed: it holds keys that nobody uses. */
async function removeDrafts(root: string): Promise<void> {
  for (const name of await readdir(root)) {
    const pid = DRAFT.exec(name)?.[1];
    if (pid !== undefined && !runs(Number(pid))) await rm(join(root, name), { recursive: true, force: true });
  }
}

function runs(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such folder',
  ENOTDIR: 'something there is a file and should be a folder',
  EACCES: "you can't write there",
  EROFS: 'the file system is read-only',
  ENOSPC: 'the disk is full',
};

function cannotCreate(root: string, error: unknown): unknown {
  const code = (error as NodeJS.ErrnoException).code;
  if (code === undefined || error instanceof PreconditionError) return error;
  return new PreconditionError(`No instance can be created in ${root}: ${REASONS[code] ?? code}.`, {
    hint: 'Change to a folder of your own, or name one with SYSTEMPROMPT_ROOT.',
    cause: error,
  });
}
