import type { AppliedChange } from '../../../lib/app/config/change.ts';
import type { Difference } from '../../../lib/app/config/running.ts';
import type { TextArtifact } from '../../../lib/shared/artifact.ts';
import { formatDate } from '../../../lib/shared/text/cells.ts';
import { shortText } from './configuration.ts';

/** Whether a system runs, and takes up changes of its files by itself or when it is told; or with which other profile it runs. */
export type Follows = 'itself' | 'told' | 'stopped' | { readonly profile: string };

interface Circumstances {
  readonly dryRun: boolean;
  readonly follows: Follows;
  /** Environment variables that go before what was changed. */
  readonly overridden: readonly string[];
  readonly runnable: (command: string) => string;
}

/** What was changed, or would be, and when it is in force. */
export function changesText(applied: AppliedChange, circumstances: Circumstances): TextArtifact {
  const { files, changes, effect } = applied;
  const { dryRun, overridden } = circumstances;
  const data = { changed: changes.length > 0, dry_run: dryRun, files, changes, ...force(applied, circumstances) };
  if (changes.length === 0) return { type: 'text', content: 'Nothing to change: it is so already', data };
  const lines = changes.map(({ path, before, after }) => `${path}: ${valueText(before)} → ${valueText(after)}`);
  const where = `${dryRun ? 'Would be written' : 'Written'}: ${files.join(', ')}`;
  const notes = overridden.map((variable) => `${variable} is set in this environment and goes before it`);
  return {
    type: 'text',
    content: [...lines, where, sentence(effect, circumstances), ...notes].join('\n'),
    data,
  };
}

function valueText(value: AppliedChange['changes'][number]['before']): string {
  return value === null ? '(default)' : shortText(value);
}

function force({ effect, changes }: AppliedChange, { follows }: Circumstances): Record<string, string | null> {
  if (changes.length === 0) return { takes_effect: null };
  if (effect === 'none') return { takes_effect: 'at_once' };
  if (follows === 'stopped' || typeof follows === 'object') return { takes_effect: 'next_start' };
  if (effect === 'start') return { takes_effect: 'stop_and_start' };
  return { takes_effect: follows === 'itself' ? 'at_once' : 'reconcile' };
}

const nextStart = (dryRun: boolean): string =>
  `Nothing is running: it ${dryRun ? 'would hold' : 'holds'} from the next start on`;

function sentence(effect: AppliedChange['effect'], { follows, dryRun, runnable }: Circumstances): string {
  if (effect === 'none') return `It ${dryRun ? 'would hold' : 'holds'} at once`;
  if (follows === 'stopped') return nextStart(dryRun);
  if (effect === 'start' && typeof follows !== 'object') {
    const keeps = dryRun ? 'would keep' : 'keeps';
    return `What runs ${keeps} the old value until it is stopped and started: ${runnable('infra services stop')}`;
  }
  return takenUp(follows, runnable, dryRun);
}

/** When what runs has a change that it can take up without a stop. */
export function takenUp(follows: Follows, runnable: (command: string) => string, dryRun = false): string {
  const takes = dryRun ? 'would take' : 'takes';
  switch (follows) {
    case 'stopped':
      return nextStart(dryRun);
    case 'itself':
      return `What runs ${takes} it up by itself: ${runnable('infra services status')}`;
    case 'told':
      return `What runs ${takes} it up when it is told to: ${runnable('infra services reconcile')}`;
    default:
      return `What runs has the profile ${follows.profile}: it ${dryRun ? 'would hold' : 'holds'} from the next start with this one on`;
  }
}

/** What differs between the running system and its files. */
export function differencesText(loadedAt: string, differences: readonly Difference[]): TextArtifact {
  const since = formatDate(loadedAt);
  const side = (value: Difference['files']): string => (value === undefined ? '(absent)' : shortText(value));
  const lines = differences.map(({ path, running, files }) => `${path}: ${side(running)} → ${side(files)}`);
  const title =
    differences.length === 0
      ? `What runs is what the files say (read ${since})`
      : `What runs (read ${since}) → what the files say`;
  return {
    type: 'text',
    content: [title, ...lines].join('\n'),
    data: {
      equal: differences.length === 0,
      loaded_at: loadedAt,
      differences: differences.map(({ path, running, files }) => ({
        path,
        running: running ?? null,
        files: files ?? null,
        kind: running === undefined ? 'added' : files === undefined ? 'removed' : 'changed',
      })),
    },
  };
}
