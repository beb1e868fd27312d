import type { AnswerQuestion, GivenValue, ServerQuestion } from '../../lib/app/mcp-questions.ts';
import { CancelledError } from '../../lib/shared/errors.ts';
import { harmless } from '../../lib/shared/text/width.ts';
import { askConfirm, askSelect, askSeveral, askText, type Choice, type Question } from './ask.ts';
import type { CliSession } from './session.ts';

/** A field of a form (MCP 2025-11-25, elicitation: requested schema), as far as it says. */
interface Field {
  readonly type?: unknown;
  readonly title?: unknown;
  readonly description?: unknown;
  readonly default?: unknown;
  readonly enum?: unknown;
  readonly enumNames?: unknown;
  readonly oneOf?: unknown;
  readonly anyOf?: unknown;
  readonly items?: unknown;
  readonly minLength?: unknown;
  readonly maxLength?: unknown;
  readonly minimum?: unknown;
  readonly maximum?: unknown;
}

/**
 * Puts what a server asks to the person at the terminal. What it says is shown as that server's, without anything that
 * would move the cursor.
 *
 * @param server its name
 * @param onInterrupt called after Ctrl-C, which ends the whole call
 */
export function askPerson(server: string, session: CliSession, onInterrupt: () => void): AnswerQuestion {
  return async (question, signal) => {
    try {
      return await answered(server, question, session, signal);
    } catch (error) {
      if (!(error instanceof CancelledError)) throw error;
      // Taken back by the server: decided elsewhere, or the call is over.
      if (!signal.aborted) onInterrupt();
      return { action: 'cancel' };
    }
  };
}

async function answered(
  server: string,
  { message, url, fields, required }: ServerQuestion,
  session: CliSession,
  signal: AbortSignal,
): ReturnType<AnswerQuestion> {
  const asked = { flag: '--interactive', command: 'plugins:mcp:call', signal };
  const heading = `${server} asks: ${shown(message)}`;
  if (url !== undefined) {
    const opened = await askConfirm({ ...asked, message: `${heading}\n${shown(url)}\nOpened in a browser?` }, session);
    return opened ? { action: 'accept' } : { action: 'decline' };
  }
  const names = Object.keys(fields);
  const fieldOf = (name: string): Field => (fields[name] ?? {}) as Field;
  const [only = ''] = names;
  if (names.length === 1 && fieldOf(only).type === 'boolean') {
    const yes = await askConfirm({ ...asked, message: `${heading}\n${label(only, fieldOf(only))}?` }, session);
    return { action: 'accept', content: { [only]: yes } };
  }
  const choices = [
    { value: 'accept', label: 'Answer' },
    { value: 'decline', label: 'Decline' },
  ];
  if ((await askSelect({ ...asked, message: heading, choices }, session)) === 'decline') return { action: 'decline' };
  const content: Record<string, GivenValue> = {};
  for (const name of names) {
    const value = await askField(name, fieldOf(name), required.includes(name), asked, session);
    if (value !== undefined) content[name] = value;
  }
  return { action: 'accept', content };
}

type Asked = Omit<Question, 'message'>;

async function askField(
  name: string,
  field: Field,
  required: boolean,
  asked: Asked,
  session: CliSession,
): Promise<GivenValue | undefined> {
  const message = `${label(name, field)}${required ? '' : ' (may be left out)'}`;
  const { default: initial } = field;
  if (field.type === 'boolean') {
    return await askConfirm({ ...asked, message, ...(typeof initial === 'boolean' ? { initial } : {}) }, session);
  }
  if (field.type === 'array') {
    const items = typeof field.items === 'object' && field.items !== null ? (field.items as Field) : {};
    const several = await askSeveral({ ...asked, message, choices: choicesOf(items), required }, session);
    return several.length === 0 && !required ? undefined : several;
  }
  const choices = choicesOf(field);
  if (choices.length > 0) {
    const leave = required ? [] : [{ value: leftOut, label: '(leave it out)' }];
    const given = typeof initial === 'string' ? { initial } : {};
    const chosen = await askSelect({ ...asked, message, choices: [...choices, ...leave], ...given }, session);
    return chosen === leftOut ? undefined : chosen;
  }
  return await askTyped(field, message, required, asked, session);
}

async function askTyped(
  field: Field,
  message: string,
  required: boolean,
  asked: Asked,
  session: CliSession,
): Promise<GivenValue | undefined> {
  const { default: initial } = field;
  const given = typeof initial === 'string' || typeof initial === 'number' ? { initial: String(initial) } : {};
  const validate = (text: string) => refusal(text, field, required);
  const text = await askText({ ...asked, message, validate, ...given }, session);
  if (text === '' && !required) return undefined;
  return isNumber(field) ? Number(text) : text;
}

/** No value that a server offers is this. */
const leftOut = '\u0000';

/** Why a text is no answer for a field. */
function refusal(text: string, field: Field, required: boolean): string | undefined {
  if (text === '') return required ? 'An answer is needed' : undefined;
  const { minimum, maximum, minLength, maxLength } = field;
  if (isNumber(field)) {
    const value = Number(text);
    if (text.trim() === '' || !Number.isFinite(value)) return 'Not a number';
    if (field.type === 'integer' && !Number.isInteger(value)) return 'Not a whole number';
    if (typeof minimum === 'number' && value < minimum) return `At least ${minimum}`;
    if (typeof maximum === 'number' && value > maximum) return `At most ${maximum}`;
    return undefined;
  }
  const length = [...text].length;
  if (typeof minLength === 'number' && length < minLength) return `At least ${minLength} characters`;
  if (typeof maxLength === 'number' && length > maxLength) return `At most ${maxLength} characters`;
  return undefined;
}

function isNumber({ type }: Field): boolean {
  return type === 'number' || type === 'integer';
}

/** `enum`, with or without names, or the titled form of it (`oneOf` for one, `anyOf` for several). */
function choicesOf(field: Field): Choice[] {
  const { enum: values, enumNames: names, oneOf, anyOf } = field;
  if (Array.isArray(values)) {
    const nameOf = (index: number): unknown => (Array.isArray(names) ? names[index] : undefined);
    return values.map((value, index) => choice(value, nameOf(index)));
  }
  const titled = Array.isArray(oneOf) ? oneOf : Array.isArray(anyOf) ? anyOf : [];
  return titled.flatMap((each: unknown) =>
    typeof each === 'object' && each !== null && 'const' in each
      ? [choice(each.const, 'title' in each ? each.title : undefined)]
      : [],
  );
}

function choice(value: unknown, name: unknown): Choice {
  return { value: String(value), label: shown(typeof name === 'string' ? name : String(value)) };
}

function label(name: string, { title, description }: Field): string {
  const words = typeof title === 'string' ? title : name;
  return shown(typeof description === 'string' ? `${words}: ${description}` : words);
}

function shown(text: string): string {
  return harmless(text);
}
