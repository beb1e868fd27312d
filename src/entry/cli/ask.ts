import { AnswerNeededError, CancelledError, InternalError } from '../../lib/shared/errors.ts';
import { askedAllTheSame } from './caller.ts';
import { type CliSession, columnsOf, type OutputStream } from './session.ts';

// Questions to a person, on stderr, so that stdout is the result and nothing else. Where nobody can answer the flag is named.

/** A question, and the flag that answers it beforehand. */
export interface Question {
  /** What is asked. */
  readonly message: string;
  /** As it is written: `--name` or `<name>` of an argument. */
  readonly flag: string;
  /** Id of the command, for its help: `cloud:tenant:create`. */
  readonly command: string;
  /** Takes the question back; it then ends as after Ctrl-C. */
  readonly signal?: AbortSignal;
}

export interface TextQuestion extends Question {
  /** What Enter alone means. */
  readonly initial?: string;
  readonly placeholder?: string;
  /** Why an answer is refused; undefined when it is taken. */
  readonly validate?: (answer: string) => string | undefined;
}

export interface Choice {
  readonly value: string;
  readonly label?: string;
  readonly hint?: string;
}

export interface SelectQuestion extends Question {
  readonly choices: readonly Choice[];
  readonly initial?: string;
}

/** Whether somebody sees a question and can answer it: both streams are terminals and nothing says otherwise. */
export function canAsk({ nonInteractive, json, stdin, stderr }: CliSession): boolean {
  return !nonInteractive && !json && stdin.isTTY === true && stderr.isTTY === true;
}

/**
 * Asks for a line of text.
 * @throws AnswerNeededError naming the flag when nobody can be asked; CancelledError after Ctrl-C
 */
export async function askText(question: TextQuestion, session: CliSession): Promise<string> {
  const { text } = await prompts(question, session);
  const { validate, initial, placeholder } = question;
  const answer = await text({
    message: question.message,
    output: session.stderr,
    ...withdrawn(question),
    ...(initial === undefined ? {} : { initialValue: initial }),
    ...(placeholder === undefined ? {} : { placeholder }),
    ...(validate === undefined ? {} : { validate: (value: string | undefined) => validate(value ?? '') }),
  });
  return answered(answer);
}

/** Asks for one of several; the arrow keys choose. @throws as {@link askText} */
export async function askSelect(question: SelectQuestion, session: CliSession): Promise<string> {
  const { select } = await prompts(question, session);
  const { initial } = question;
  const options = question.choices.map(({ value, label, hint }) => ({
    value,
    label: label ?? value,
    ...(hint === undefined ? {} : { hint }),
  }));
  const answer = await select({
    message: question.message,
    output: session.stderr,
    ...withdrawn(question),
    options,
    ...(initial === undefined ? {} : { initialValue: initial }),
  });
  return answered(answer);
}

/** Asks which of several, none of them included; the space bar marks. @throws as {@link askText} */
export async function askSeveral(
  question: Question & { readonly choices: readonly Choice[]; readonly required?: boolean },
  session: CliSession,
): Promise<string[]> {
  const { multiselect } = await prompts(question, session);
  const answer = await multiselect({
    message: question.message,
    output: session.stderr,
    ...withdrawn(question),
    options: question.choices.map(({ value, label }) => ({ value, label: label ?? value })),
    required: question.required ?? false,
  });
  if (typeof answer === 'symbol') throw interrupted();
  return answer.map((value) => answered(value));
}

/** Asks yes or no. @throws as {@link askText} */
export async function askConfirm(
  question: Question & { readonly initial?: boolean },
  session: CliSession,
): Promise<boolean> {
  const { confirm } = await prompts(question, session);
  const answer = await confirm({
    message: question.message,
    output: session.stderr,
    ...withdrawn(question),
    initialValue: question.initial ?? false,
  });
  if (typeof answer === 'symbol') throw interrupted();
  if (typeof answer !== 'boolean') throw new InternalError('The question had no answer');
  return answer;
}

/** Asks for what nobody may see: it is not echoed. @throws as {@link askText} */
export async function askPassword(question: TextQuestion, session: CliSession): Promise<string> {
  const { password } = await prompts(question, session);
  const { validate } = question;
  const answer = await password({
    message: question.message,
    output: session.stderr,
    ...withdrawn(question),
    ...(validate === undefined ? {} : { validate: (value: string | undefined) => validate(value ?? '') }),
  });
  return answered(answer, '');
}

async function prompts({ flag, command }: Question, session: CliSession) {
  if (canAsk(session)) {
    sizedAtLeast(session.stderr);
    return await import('@clack/prompts');
  }
  const name = command.replaceAll(':', ' ');
  throw new AnswerNeededError(`${name} needs ${flag}`, {
    hint: `Give ${flag}: nobody can be asked here${askedAllTheSame(session.unasked)}`,
    data: { flag },
    next: [`${name} --help`],
  });
}

function withdrawn({ signal }: Question): { signal?: AbortSignal } {
  return signal === undefined ? {} : { signal };
}

/** A terminal that was never given a size says 0; by that every character of a question would get a line of its own. */
function sizedAtLeast(stream: OutputStream): void {
  if (stream.columns === 0) Object.assign(stream, { columns: columnsOf(stream) });
  if (stream.rows === 0) Object.assign(stream, { rows: 24 });
}

/** @param empty what an answer without a single character means, where that is one */
function answered(answer: unknown, empty?: string): string {
  if (typeof answer === 'symbol') throw interrupted();
  const text = answer ?? empty;
  if (typeof text !== 'string') throw new InternalError('The question had no answer');
  return text;
}

function interrupted(): CancelledError {
  return new CancelledError('Interrupted', { data: { signal: 'SIGINT' } });
}
