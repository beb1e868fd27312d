import { AnswerNeededError, CancelledError, InternalError } from '../../lib/shared/errors.ts';
import type { CliSession } from './session.ts';

/**
 * Asks before a destructive command runs, unless its flag `--yes` answered already.
 *
 * @throws AnswerNeededError when nobody can be asked; CancelledError when the answer was no
 */
export async function confirmDestruction(
  id: string,
  flags: Readonly<Record<string, unknown>>,
  session: CliSession,
): Promise<void> {
  if (flags['yes'] === true) return;
  const name = id.replaceAll(':', ' ');
  if (session.nonInteractive || session.json) {
    throw new AnswerNeededError(`${name} destroys data and was not confirmed`, {
      hint: 'Add --yes to confirm',
      next: [`${name} --help`],
    });
  }
  const { confirm, isCancel } = await import('@clack/prompts');
  const answer = await confirm({
    message: `${name} can't be undone. Go on?`,
    initialValue: false,
    output: session.stderr,
  });
  if (isCancel(answer)) throw new CancelledError('Interrupted', { data: { signal: 'SIGINT' } });
  if (typeof answer !== 'boolean') throw new InternalError('The question had no answer');
  if (!answer) throw new CancelledError('Not confirmed, nothing was changed');
}
