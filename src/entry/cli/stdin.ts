import { UsageError } from '../../lib/shared/errors.ts';

/** What is given on standard input is one value, not a file. */
const bytesMax = 64 * 1024;

/**
 * All of standard input as text, for what must not stand on a command line.
 * @param flag which asked for it, for messages
 * @throws UsageError when it is a terminal, where nobody would see what is typed, or when it is longer than 64 KB
 */
export async function readStdin(flag: string): Promise<string> {
  const { stdin } = process;
  if (stdin.isTTY) {
    throw new UsageError(`${flag} reads standard input, and that is the terminal`, { hint: 'Pipe the value into it' });
  }
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of stdin as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    size += chunk.length;
    if (size > bytesMax) throw new UsageError(`What came on standard input is longer than ${bytesMax / 1024} KB`);
  }
  return Buffer.concat(chunks).toString('utf8');
}
