import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { NotFoundError, TooLargeError, UsageError } from '../../lib/shared/errors.ts';

const limitBytes = 16 * 1024 * 1024;
/** Who starts a program with a pipe that nobody writes to must not wait for ever. */
const firstByteMs = 5_000;

/**
 * The text of a file that the user names.
 * @throws NotFoundError when there is none
 */
export async function readTextFile(path: string, cwd: string): Promise<string> {
  try {
    return await readFile(resolve(cwd, path), 'utf8');
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code;
    if (code === 'ENOENT') throw new NotFoundError(`There is no file ${path}.`, { cause });
    throw new UsageError(`The file ${path} can't be read (${code}).`, { cause });
  }
}

/**
 * Everything that comes on standard input.
 * @param what is to come: `a statement`
 * @throws UsageError when nothing comes within five seconds; TooLargeError
 */
export async function readInput(what: string, stdin: NodeJS.ReadableStream = process.stdin): Promise<string> {
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    (stdin as NodeJS.ReadStream).destroy();
  }, firstByteMs);
  let text = '';
  try {
    stdin.setEncoding('utf8');
    for await (const chunk of stdin) {
      clearTimeout(timer);
      text += String(chunk);
      if (text.length > limitBytes)
        throw new TooLargeError(`What comes on standard input is over ${limitBytes} bytes.`);
    }
  } catch (error) {
    if (!late) throw error; // destroyed by us: said below
  } finally {
    clearTimeout(timer);
  }
  if (late)
    throw new UsageError(`Nothing came on standard input within ${firstByteMs / 1000} s, and ${what} is needed.`);
  return text;
}
