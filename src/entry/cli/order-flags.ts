import { boolean } from '@oclif/core/flags';
import { UsageError } from '../../lib/shared/errors.ts';
import { duration, longestWait } from './flags.ts';

/** What start, stop and restart have in common. */
export const orderFlags = {
  all: boolean({ summary: 'Everything; the same as no name at all' }),
  wait: boolean({
    allowNo: true,
    default: true,
    summary: 'Wait for the outcome; --no-wait comes back as soon as it is under way',
  }),
  timeout: duration({
    summary: 'How long to wait; after that it goes on, and the exit code is 7',
    default: 120,
    max: longestWait,
    defaultHelp: async () => '120s',
  }),
};

/** @throws UsageError when services are named beside --all */
export function namedServices(
  verb: string,
  { services }: { readonly services: readonly string[] | undefined },
  { all }: { readonly all: boolean },
): readonly string[] {
  const names = services ?? [];
  if (all && names.length > 0) {
    throw new UsageError('--all and names exclude each other', {
      hint: `Leave out one of them: --all, or ${names.join(' ').slice(0, 80)}`,
      next: [`infra services ${verb} --all`],
    });
  }
  return names;
}
