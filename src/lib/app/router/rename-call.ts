/**
 * The body of a tools/call with another name of the tool; every other byte is as it came.
 * @param body one message that `parseMessage` took for a call: no member of it or of its params is there twice
 */
export function renameCall(body: Buffer, name: string): Buffer {
  const text = body.toString('utf8');
  const params = memberOf(text, skipSpace(text, 0), 'params');
  const [start, end] = memberOf(text, params[0], 'name');
  return Buffer.from(text.slice(0, start) + JSON.stringify(name) + text.slice(end));
}

type Span = readonly [start: number, end: number];

/** Where the value of a member lies. @param at where the object begins */
function memberOf(text: string, at: number, wanted: string): Span {
  let here = skipSpace(text, at + 1);
  while (text[here] === '"') {
    const keyEnd = endOfString(text, here);
    const key: unknown = JSON.parse(text.slice(here, keyEnd));
    const start = skipSpace(text, skipSpace(text, keyEnd) + 1);
    const end = endOfValue(text, start);
    if (key === wanted) return [start, end];
    here = skipSpace(text, end);
    if (text[here] === ',') here = skipSpace(text, here + 1);
  }
  throw new Error(`The message has no ${wanted}`);
}

function endOfValue(text: string, start: number): number {
  const first = text[start];
  if (first === '"') return endOfString(text, start);
  if (first !== '{' && first !== '[') {
    let end = start;
    while (end < text.length && !',]} \n\r\t'.includes(text[end] as string)) end += 1;
    return end;
  }
  let depth = 0;
  for (let at = start; at < text.length; at += 1) {
    const unit = text[at];
    if (unit === '"') at = endOfString(text, at) - 1;
    else if (unit === '{' || unit === '[') depth += 1;
    else if (unit === '}' || unit === ']') {
      depth -= 1;
      if (depth === 0) return at + 1;
    }
  }
  return text.length;
}

/** Index after the closing quote of the string that begins at `start`. */
function endOfString(text: string, start: number): number {
  for (let at = start + 1; at < text.length; at += 1) {
    if (text[at] === '\\') at += 1;
    else if (text[at] === '"') return at + 1;
  }
  return text.length;
}

function skipSpace(text: string, at: number): number {
  let here = at;
  while (here < text.length && ' \n\r\t'.includes(text[here] as string)) here += 1;
  return here;
}
