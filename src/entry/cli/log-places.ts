import type { CommandContext } from '../../lib/app/command-context.ts';
import type { LogPlaces, PageEnd } from '../../lib/app/logs/index.ts';
import type { LogRows } from '../../lib/app/logs/rows.ts';
import { selectLogs } from '../../lib/app/supervisor/selection.ts';
import { loggedServices, supervisorLog } from '../../lib/infra/process/logs.ts';
import {
  type AppError,
  ConfigInvalidError,
  DatabaseUnavailableError,
  NotFoundError,
  PreconditionError,
  UsageError,
} from '../../lib/shared/errors.ts';
import { configuredServices } from './configured-services.ts';

export interface OpenPlaces extends LogPlaces {
  /** Those that were asked for; undefined when none was. */
  readonly asked: readonly string[] | undefined;
  /** Id of the user who was asked for. */
  readonly user: string | undefined;
  /** Why the database has no part in it. */
  readonly missing: string | undefined;
}

/**
 * Where the logs of this instance are. Logs are read because something is wrong: whatever keeps the database from being
 * asked, the files are there.
 *
 * @param asked names of services or kinds
 * @param needsRows whether the database is asked at all
 * @param user a name
 * @throws NotFoundError with the nearest names; PreconditionError when a user is asked for and the database is not there
 */
export async function openLogPlaces(
  context: CommandContext,
  asked: readonly string[],
  needsRows = true,
  user?: string,
): Promise<OpenPlaces> {
  const { logsDir } = await context.instance();
  const names = [...loggedServices(logsDir), ...(await configuredNames(context)), supervisorLog];
  const services = [...new Set(names)].sort();
  const chosen = asked.length === 0 ? undefined : selectLogs(asked, services);
  const opened = needsRows ? await openRows(context) : undefined;
  const rows = opened !== undefined && !(opened instanceof Error) ? opened : undefined;
  if (user !== undefined && opened instanceof Error) throw opened;
  return {
    logsDir,
    services,
    rows,
    asked: chosen,
    user: user === undefined || rows === undefined ? undefined : await userId(rows, user),
    missing: opened instanceof Error ? `Events and calls are missing: ${opened.message.split('\n')[0]}` : undefined,
  };
}

async function openRows(context: CommandContext): Promise<LogRows | AppError> {
  try {
    const [database, { id }] = [await context.database(), await context.instance()];
    const { AuditReader } = await import('../../lib/domain/governance/index.ts');
    await database.query('SELECT 1');
    return { database, installationId: id, audit: new AuditReader(database), actor: await context.currentActor() };
  } catch (error) {
    const known = [DatabaseUnavailableError, ConfigInvalidError, PreconditionError].some(
      (kind) => error instanceof kind,
    );
    if (known) return error as AppError;
    throw error;
  }
}

/** @throws NotFoundError */
async function userId({ database }: LogRows, name: string): Promise<string> {
  const [found] = await database.query<{ id: string }>('SELECT id FROM users WHERE name = $1', [name]);
  if (found !== undefined) return found.id;
  throw new NotFoundError(`There is no user ${name.slice(0, 80)}`, { next: ['admin users list'] });
}

async function configuredNames(context: CommandContext): Promise<string[]> {
  try {
    return (await configuredServices(context)).map(({ name }) => name);
  } catch (error) {
    if (error instanceof ConfigInvalidError) return [];
    throw error;
  }
}

/** Where a page ended, as one word of the command line. */
export function cursorOf({ at, seen }: PageEnd): string {
  return Buffer.from(`${at} ${seen}`).toString('base64url');
}

/** @throws UsageError when it is none */
export function pageEnd(cursor: string | undefined, next: string): PageEnd | undefined {
  if (cursor === undefined) return undefined;
  const [, at, seen] =
    /^(\d{4}-\d{2}-\d{2}T[\d:.]+Z|) (\d{1,9})$/.exec(Buffer.from(cursor, 'base64url').toString()) ?? [];
  if (at !== undefined && seen !== undefined) return { at, seen: Number(seen) };
  throw new UsageError(`There is no page to go on with at the cursor ${cursor.slice(0, 80)}`, {
    hint: 'Give the cursor that the answer before ended with',
    next: [next],
  });
}
