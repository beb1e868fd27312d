import { existsSync, fstatSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { AnswerNeededError, NotFoundError, PreconditionError, UsageError } from '../../lib/shared/errors.ts';
import { askPassword, canAsk } from './ask.ts';
import type { CliSession } from './session.ts';

/** The largest file of values that is read, in bytes. */
const bytesMax = 4 * 1024 * 1024;
/** A pipeline may leave standard input open and say nothing: for the first byte we wait that long, in ms. */
const firstByteMs = 10_000;

export interface ValueSources {
  readonly 'from-file'?: string | undefined;
  readonly 'from-env'?: string | undefined;
}

/**
 * The value of a secret, from where the command line says: a file, a variable, else standard input, else a question whose
 * answer is not shown. The line break at the end of a single line is no part of it.
 * @throws AnswerNeededError when it comes from nowhere and nobody can be asked; UsageError when it is empty or no text
 */
export async function secretValue(
  name: string,
  sources: ValueSources,
  session: CliSession,
  command = 'cloud:secrets:set',
): Promise<string> {
  const { 'from-file': file, 'from-env': variable } = sources;
  if (file !== undefined) return withoutLineBreak(await readText(file));
  if (variable !== undefined) {
    const value = session.env[variable];
    if (value !== undefined) return value;
    throw new PreconditionError(`The variable ${variable} is not set.`, { hint: 'Export it, or name another one' });
  }
  if (hasInput(session)) {
    const text = await fromStdin(firstByteMs);
    if (text !== undefined && text !== '') return withoutLineBreak(text);
  } else if (canAsk(session)) {
    const message = `Value of ${name} (it is not shown)`;
    const validate = (answer: string) => (answer === '' ? 'Type a value, or press Ctrl-C' : undefined);
    return await askPassword({ message, flag: '--from-file', command, validate }, session);
  }
  throw new AnswerNeededError(`There is no value for ${name}`, {
    hint: 'Give it on standard input, or name a file with --from-file or a variable with --from-env',
    next: [`${command.replaceAll(':', ' ')} --help`],
    data: { flag: '--from-file' },
  });
}

/** The text of a file; `-` is standard input. @throws NotFoundError, PreconditionError, UsageError when it is no text */
export async function readText(file: string): Promise<string> {
  if (file === '-') return (await fromStdin(undefined)) ?? '';
  if (!existsSync(file)) throw new NotFoundError(`There is no file ${file}`);
  try {
    return decoded(await readFile(file));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === undefined || error instanceof UsageError) throw error;
    throw new PreconditionError(`${file} can't be read (${code}).`, { cause: error });
  }
}

function withoutLineBreak(text: string): string {
  const line = text.replace(/\r?\n$/, '');
  return line.includes('\n') ? text : line;
}

/** A pipe, a file or a socket: somebody means us to read it. */
function hasInput({ stdin }: CliSession): boolean {
  if (stdin.isTTY === true) return false;
  const { fd } = process.stdin as { fd?: number };
  const stats = fstatSync(fd ?? 0);
  return stats.isFIFO() || stats.isFile() || stats.isSocket();
}

/** @returns undefined when nothing came in time */
async function fromStdin(waitMs: number | undefined): Promise<string | undefined> {
  const { stdin } = process;
  const chunks: Buffer[] = [];
  let size = 0;
  const late = Symbol('late');
  const { promise, resolve } = Promise.withResolvers<typeof late>();
  const timer = waitMs === undefined ? undefined : setTimeout(() => resolve(late), waitMs);
  const read = (async () => {
    for await (const chunk of stdin as AsyncIterable<Buffer>) {
      clearTimeout(timer);
      chunks.push(chunk);
      size += chunk.length;
      if (size > bytesMax) throw new UsageError(`Standard input is larger than ${bytesMax} bytes`);
    }
    return undefined;
  })();
  try {
    if ((await Promise.race([read, promise])) === late) return undefined;
    return decoded(Buffer.concat(chunks));
  } finally {
    clearTimeout(timer);
    stdin.destroy();
  }
}

function decoded(bytes: Buffer): string {
  if (bytes.length > bytesMax) throw new UsageError(`That is more than ${bytesMax} bytes`);
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (error) {
    throw new UsageError('The value is no text in UTF-8', { hint: 'Encode it first, with base64 say', cause: error });
  }
}
