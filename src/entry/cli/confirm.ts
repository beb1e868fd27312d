import { AnswerNeededError, CancelledError } from '../../lib/shared/errors.ts';
import { askConfirm, canAsk } from './ask.ts';
import { askedAllTheSame } from './caller.ts';
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
  if (!canAsk(session)) {
    throw new AnswerNeededError(`${name} ${what.effect} and was not confirmed`, {
      hint: `Add --yes to confirm${askedAllTheSame(session.unasked)}`,
      next: [`${name} --help`],
    });
  }
  const yes = await askConfirm({ message: what.question, flag: '--yes', command: what.id }, session);
  if (!yes) throw new CancelledError('Not confirmed, nothing was changed');
}
