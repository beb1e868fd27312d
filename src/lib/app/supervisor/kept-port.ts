import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { readJson, writeFileAtomic } from '../../infra/config/atomic-file.ts';
import type { Instance } from '../../infra/config/instance.ts';
import { leftBehind } from './left-behind.ts';

// A port that was given by flag or environment belongs to the system that runs, not to the shell that started it: a
// supervisor that takes over must not move what goes on serving there.

const variable = 'SYSTEMPROMPT_SERVER_PORT';
const fileSchema = z.object({ version: z.literal(1), port: z.int().min(1).max(65_535) });

type Place = Pick<Instance, 'id' | 'runDir'>;

/** Keeps the port that the environment gives, if it gives one. */
export async function keepPort(instance: Place, env: NodeJS.ProcessEnv): Promise<void> {
  if (!env[variable]) return;
  await writeFileAtomic(fileOf(instance), `${JSON.stringify({ version: 1, port: Number(env[variable]) })}\n`, 0o600);
}

/**
 * The environment that a start goes by: while processes of the installation run, with the port that they were started
 * with, unless another one is given.
 * @throws PreconditionError when the file is damaged
 */
export async function withKeptPort(instance: Place, env: NodeJS.ProcessEnv): Promise<NodeJS.ProcessEnv> {
  if (env[variable]) return env;
  const kept = await readJson(fileOf(instance), fileSchema);
  if (kept === undefined || (await leftBehind(instance.id)).size === 0) return env;
  return { ...env, [variable]: String(kept.port) };
}

/** Forgets it when nothing runs any more: the next start goes by the profile. */
export async function forgetPort(instance: Place): Promise<void> {
  if (!existsSync(fileOf(instance))) return;
  if ((await leftBehind(instance.id)).size === 0) await rm(fileOf(instance), { force: true });
}

/** @returns the port that was given to the system when it was started; `undefined` when none was */
export async function keptPort(instance: Place): Promise<number | undefined> {
  return (await readJson(fileOf(instance), fileSchema))?.port;
}

function fileOf({ runDir }: Place): string {
  return join(runDir, 'server-port.json');
}
