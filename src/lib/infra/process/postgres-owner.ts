import { existsSync, statSync } from 'node:fs';
import { connect } from 'node:net';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { readJson, writeFileAtomic } from '../config/atomic-file.ts';
import { hasCode } from './identity.ts';
import { findPostmaster } from './postgres-lock.ts';

const ownerSchema = z.object({
  id: z.uuid(),
  /** `.systemprompt/` of the instance. */
  dir: z.string().startsWith('/'),
  /** Number of the file system that it is on (st_dev): where that is not mounted, the folder only seems to be gone. */
  device: z.number(),
});

/** Whose data lies in a folder outside of its project. */
export type DataOwner = z.infer<typeof ownerSchema>;

const fileName = 'instance.json';

/** Writes into the folder whose data it holds, anew after the project was moved. */
export async function recordOwner(
  folder: string,
  { id, dir }: { readonly id: string; readonly dir: string },
): Promise<void> {
  const owner: DataOwner = { id, dir, device: statSync(dir).dev };
  const known = await readOwner(folder).catch(() => undefined); // damaged: written anew
  if (known?.id === id && known.dir === dir && known.device === owner.device) return;
  await writeFileAtomic(join(folder, fileName), `${JSON.stringify(owner)}\n`, 0o600);
}

/**
 * @returns undefined for a folder without a record
 * @throws PreconditionError when the record is damaged
 */
export function readOwner(folder: string): Promise<DataOwner | undefined> {
  return readJson(join(folder, fileName), ownerSchema);
}

/** The file system that a folder which is not there (any more) would be on: that of the nearest one above it. */
export function deviceBelow(path: string): number {
  return existsSync(path) ? statSync(path).dev : deviceBelow(dirname(path));
}

/**
 * Why PostgreSQL may be running on a data directory; `undefined` when it does not. Its process is looked for, and its socket
 * tried, which answers from another container too.
 */
export async function runsOn(dataDir: string, sockets: readonly string[]): Promise<string | undefined> {
  const running = await findPostmaster(dataDir);
  if (running !== undefined) return `PostgreSQL runs on it (pid ${running.pid})`;
  for (const socket of sockets) if (await socketAnswers(socket)) return `PostgreSQL answers on ${socket}`;
  return undefined;
}

/** Whether somebody listens on a socket: true also when we may not ask. */
export function socketAnswers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', (error) => resolve(!hasCode(error, 'ECONNREFUSED', 'ENOENT', 'ENOTSOCK')));
  });
}
