import type { ConfigIssue } from '../../shared/errors.ts';

/** What a file of values says: values by name, and every line that can't be read. */
export interface ReadValues {
  readonly values: ReadonlyMap<string, string>;
  readonly issues: readonly ConfigIssue[];
}

const assignment = /^[ \t]*(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_.-]*)[ \t]*=[ \t]*/;
const nothing = /^[ \t]*(#.*)?$/;
const escapes: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t', '"': '"', '\\': '\\' };

/**
 * Reads lines of `NAME=value` as the tools of the `dotenv` family do: `export` and comments are allowed; a value in single
 * quotes or backticks is taken as it stands, in double quotes with `\n`, `\r`, `\t`, `\"` and `\\`; in quotes it may go over
 * lines. Nothing is expanded. Findings name lines and never values.
 * @param file how findings name it
 */
export function parseDotenv(text: string, file: string): ReadValues {
  const lines = text.replace(/^\uFEFF/, '').split(/\r?\n/);
  const values = new Map<string, string>();
  const issues: ConfigIssue[] = [];
  for (let index = 0; index < lines.length; ) {
    const line = lines[index] ?? '';
    const place = { file, line: index + 1, column: 1 };
    const found = assignment.exec(line);
    const name = found?.[1];
    if (nothing.test(line) || found === null || name === undefined) {
      const hint = 'write it as NAME=value, or begin it with # for a comment';
      if (!nothing.test(line)) issues.push({ ...place, message: 'this line is no assignment', hint });
      index += 1;
      continue;
    }
    const read = readValue(lines, index, found[0].length);
    if ('wrong' in read) issues.push({ ...place, message: `${read.wrong} ${name}`, hint: read.hint });
    else if (values.has(name))
      issues.push({ ...place, message: `${name} is there twice`, hint: 'keep one of the two' });
    else values.set(name, read.value);
    index = read.next;
  }
  return { values, issues };
}

type ReadValue = { readonly next: number } & (
  | { readonly value: string }
  | { readonly wrong: string; readonly hint: string }
);

/** The value that begins in a line at a column (from 0), and the line after it. */
function readValue(lines: readonly string[], first: number, column: number): ReadValue {
  const rest = (lines[first] ?? '').slice(column);
  const quote = /^["'`]/.exec(rest)?.[0];
  if (quote === undefined) return { value: rest.replace(/(^|[ \t]+)#.*$/, '').trim(), next: first + 1 };
  let body = rest.slice(1);
  let next = first + 1;
  let end = endOfQuote(body, quote);
  while (end === -1 && next < lines.length) {
    body += `\n${lines[next] ?? ''}`;
    next += 1;
    end = endOfQuote(body, quote);
  }
  if (end === -1) return { wrong: 'no end of the quote of', hint: `end the value with ${quote}`, next };
  if (!nothing.test(body.slice(end + 1))) {
    return { wrong: 'something follows the value of', hint: 'put the whole value into the quotes', next };
  }
  return { value: quote === '"' ? unescaped(body.slice(0, end)) : body.slice(0, end), next };
}

function endOfQuote(body: string, quote: string): number {
  for (let at = 0; at < body.length; at += 1) {
    if (quote === '"' && body[at] === '\\') at += 1;
    else if (body[at] === quote) return at;
  }
  return -1;
}

function unescaped(body: string): string {
  return body.replaceAll(/\\(.)/gs, (whole, character: string) => escapes[character] ?? whole);
}
