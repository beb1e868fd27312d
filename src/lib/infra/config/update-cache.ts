import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';

/** What is known of newer versions, kept in the user's cache. Times in ms since the epoch. */
export interface UpdateCache {
  /** When the registry was last asked, or somebody set out to ask it. */
  readonly checkedAt?: number;
  /** When the user was last told. */
  readonly toldAt?: number;
  /** The newest version that is published. */
  readonly latest?: string;
}

/** Where it is kept (XDG Base Directory Specification). */
function updateCacheFile(env: NodeJS.ProcessEnv): string {
  const cache = env['XDG_CACHE_HOME'];
  return join(cache?.startsWith('/') ? cache : join(env['HOME'] || homedir(), '.cache'), 'systemprompt', 'update.json');
}

/** Nothing when there is none, or it can't be read: then the registry is asked again. */
export function readUpdateCache(env: NodeJS.ProcessEnv): UpdateCache {
  try {
    const stored = JSON.parse(readFileSync(updateCacheFile(env), 'utf8')) as Record<string, unknown>;
    const { checkedAt, toldAt, latest } = stored;
    return {
      ...(typeof checkedAt === 'number' ? { checkedAt } : {}),
      ...(typeof toldAt === 'number' ? { toldAt } : {}),
      ...(typeof latest === 'string' && /^\d+\.\d+\.\d+$/.test(latest) ? { latest } : {}),
    };
  } catch {
    return {};
  }
}

/** Changes what is kept, as one step. @returns false where nothing can be kept: nobody is told then */
export function changeUpdateCache(env: NodeJS.ProcessEnv, change: UpdateCache): boolean {
  const file = updateCacheFile(env);
  const temporary = `${file}.${process.pid}`;
  try {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    writeFileSync(temporary, JSON.stringify({ ...readUpdateCache(env), ...change }), { mode: 0o600 });
    renameSync(temporary, file);
    return true;
  } catch {
    return false; // a home that is read-only or full
  }
}
