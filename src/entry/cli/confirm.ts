import { AnswerNeededError, CancelledError, InternalError } from '../../lib/shared/errors.ts';
import type { CliSession } from './session.ts';

/** What a command is about to do. */
export interface Confirmation {
  /** Of the command. */
  readonly id: string;
  /** Why it has to be confirmed, after its name: `destroys data`. */
  readonly effect: string;
  /** What a person is asked. */
  readonly question: string;
}

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
  const question = `${id.replaceAll(':', ' ')} can't be undone. Go on?`;
  await confirmed({ id, effect: 'destroys data', question }, flags, session);
}

/**
 * Asks whether to go on, unless the flag `--yes` answered already.
 *
 * @throws AnswerNeededError when nobody can be asked; CancelledError when the answer was no
 */
export async function confirmed(
  what: Confirmation,
  flags: Readonly<Record<string, unknown>>,
  session: CliSession,
): Promise<void> {
  if (flags['yes'] === true) return;
  const name = what.id.replaceAll(':', ' ');
  // Who does not see the question can't answer it either.
  if (session.nonInteractive || session.json || session.stderr.isTTY !== true) {
    throw new AnswerNeededError(`${name} ${what.effect} and was not confirmed`, {
      hint: 'Add --yes to confirm',
      next: [`${name} --help`],
    });
  }
  const { confirm, isCancel } = await import('@clack/prompts');
  const answer = await confirm({ message: what.question, initialValue: false, output: session.stderr });
  if (isCancel(answer)) throw new CancelledError('Interrupted', { data: { signal: 'SIGINT' } });
  if (typeof answer !== 'boolean') throw new InternalError('The question had no answer');
  if (!answer) throw new CancelledError('Not confirmed, nothing was changed');
}
