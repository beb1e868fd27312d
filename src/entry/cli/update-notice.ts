import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, sep } from 'node:path';
import { changeUpdateCache, readUpdateCache } from '../../lib/infra/config/update-cache.ts';
import type { UserSettings } from '../../lib/infra/config/user-settings.ts';
import { startInBackground } from '../../lib/infra/process/background.ts';
import { isTrue } from './caller.ts';
import type { CliSession } from './session.ts';

const dayMs = 24 * 60 * 60 * 1_000;

/** Whether a person sees it: both streams are terminals, and nobody said no. */
export function wantsUpdateNotice(
  { stdout, stderr, json, delegated, unasked, env }: CliSession,
  { update_notice }: UserSettings,
): boolean {
  if (stdout.isTTY !== true || stderr.isTTY !== true || json || delegated || update_notice === false) return false;
  if (unasked?.because === 'pipeline' || unasked?.because === 'agent') return false;
  return !isTrue(env['SYSTEMPROMPT_NO_UPDATE_NOTICE']);
}

/**
 * Tells once a day of a version that is newer than this one, and has the registry asked once a day, in the background: no
 * command waits for it, and what comes back is told by a later one.
 *
 * @param root the package's folder; in a checkout nobody is told
 */
export function noticeUpdate(session: CliSession, root: string, now = Date.now()): void {
  if (existsSync(join(root, 'src'))) return;
  const { env, stderr } = session;
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
  const { checkedAt = 0, toldAt = 0, latest } = readUpdateCache(env);
  if (
    latest !== undefined &&
    isNewer(latest, version) &&
    now - toldAt >= dayMs &&
    changeUpdateCache(env, { toldAt: now })
  ) {
    stderr.write(`\nsystemprompt ${latest} is out; this is ${version}. To update: ${updateCommand(root)}\n`);
  }
  if (now - checkedAt < dayMs || !changeUpdateCache(env, { checkedAt: now })) return;
  startInBackground(join(root, 'dist', 'entry', 'update', 'main.js'), env, homedir());
}

/** @param a version of three numbers; of `b` what stands behind them is not looked at */
export function isNewer(a: string, b: string): boolean {
  const parts = (text: string): number[] => (/^(\d+)\.(\d+)\.(\d+)/.exec(text) ?? []).slice(1).map(Number);
  const [left, right] = [parts(a), parts(b)];
  const at = left.findIndex((part, index) => part !== right[index]);
  return at !== -1 && right.length === 3 && (left[at] ?? 0) > (right[at] ?? 0);
}

/** How this installation is brought up to date. */
export function updateCommand(root: string): string {
  const parts = root.split(sep);
  if (parts.includes('_npx')) return 'npx systemprompt@latest';
  // A global package lies in lib/node_modules (npm's folders documentation); one of a project beside its package.json.
  const modules = parts.lastIndexOf('node_modules');
  const isGlobal = modules > 0 && parts[modules - 1] === 'lib';
  return isGlobal ? 'npm install --global systemprompt@latest' : 'npm install systemprompt@latest';
}
