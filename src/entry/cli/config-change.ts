import { join } from 'node:path';
import type { CommandContext } from '../../lib/app/command-context.ts';
import type { ConfigChange } from '../../lib/app/config/change.ts';
import type { Artifact } from '../../lib/shared/artifact.ts';
import { confirmed } from './confirm.ts';
import type { Output } from './output/output.ts';
import { changesText, type Follows } from './views/config-changes.ts';

/**
 * Whether a system runs here, and takes up what changes by itself or when it is told.
 * @param files what changes; a profile other than that which runs is nothing to it
 */
export async function follows(context: CommandContext, files: readonly string[] = []): Promise<Follows> {
  const status = await context.runningStatus();
  if (status === undefined) return 'stopped';
  const { name } = await context.activeProfile();
  const place = join('profiles', name, 'profile.yaml');
  const ofProfile = files.length > 0 && files.every((file) => file.endsWith(place));
  if (ofProfile && status.profile !== name) return { profile: status.profile };
  return (await context.profile()).runtime.apply_changes === 'manual' ? 'told' : 'itself';
}

/** Makes changes to the configuration's files and tells what they are and when they are in force. */
export async function changed(
  context: CommandContext,
  output: Pick<Output, 'runnable'>,
  changes: readonly ConfigChange[],
  dryRun: boolean,
): Promise<Artifact> {
  const { changeConfiguration } = await import('../../lib/app/config/change.ts');
  const { variableOver } = await import('../../lib/app/config/effective.ts');
  const { env } = context.options;
  const instance = await context.instance();
  const profileName = (await context.activeProfile()).name;
  const applied = await changeConfiguration({ instance, profileName, env }, changes, { dryRun });
  const overridden = applied.changes.flatMap(({ path }) => variableOver(path, env) ?? []);
  return changesText(applied, {
    dryRun,
    follows: await follows(context, applied.files),
    overridden,
    runnable: (command) => output.runnable(command),
  });
}

/** As {@link changed}, after a question when several values would go; `--dry-run` and `--yes` are among the flags. */
export async function changedWhenConfirmed(
  context: CommandContext,
  output: Pick<Output, 'runnable' | 'session'>,
  changes: readonly ConfigChange[],
  { id, flags }: { readonly id: string; readonly flags: Readonly<Record<string, unknown>> },
): Promise<Artifact> {
  const planned = await changed(context, output, changes, true);
  if (flags['dry-run'] === true || planned.type !== 'text') return planned;
  if (planned.data?.['changed'] !== true) return await changed(context, output, changes, false);
  const question = `${planned.content.split('\n').slice(0, -2).join('\n')}\nGo on?`;
  await confirmed({ id, effect: 'replaces values', question }, flags, output.session);
  return await changed(context, output, changes, false);
}
