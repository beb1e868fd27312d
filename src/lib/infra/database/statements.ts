/** One statement of a text, without the semicolon that ends it. */
export interface Statement {
  readonly text: string;
  /** Where it begins in the whole text, in UTF-16 units. */
  readonly start: number;
}

export interface SplitText {
  /** Those that a semicolon has ended. */
  readonly statements: readonly Statement[];
  /** What stands after the last semicolon; empty when there is nothing but space and comments. */
  readonly rest: Statement | undefined;
}

/**
 * Parts a text at the semicolons that end statements: not at those in strings, quoted names, dollar quotes, comments, or the
 * body of a function in standard SQL (BEGIN ATOMIC). As PostgreSQL's manual has it in 4.1.
 */
export function splitStatements(sql: string): SplitText {
  const statements: Statement[] = [];
  let start = 0;
  let hasText = false;
  const body = new AtomicBody();
  for (const { kind, text, end } of tokens(sql)) {
    if (kind === 'blank') continue;
    if (text === ';' && !body.open) {
      if (hasText) statements.push(statementOf(sql, start, end - 1));
      start = end;
      hasText = false;
    } else {
      hasText = true;
    }
    body.see(kind === 'word' ? text.toUpperCase() : '');
  }
  return { statements, rest: hasText ? statementOf(sql, start, sql.length) : undefined };
}

/** Follows BEGIN ATOMIC … END, and the CASE … END in it. */
class AtomicBody {
  #depth = 0;
  #before = '';

  get open(): boolean {
    return this.#depth > 0;
  }

  /** @param word in capitals; empty for what is none */
  see(word: string): void {
    if (word === 'ATOMIC' && this.#before === 'BEGIN') this.#depth = 1;
    else if (this.open && word === 'CASE') this.#depth += 1;
    else if (this.open && word === 'END') this.#depth -= 1;
    this.#before = word;
  }
}

interface Token {
  /** Space and comments are blank; strings, quoted names and signs are other. */
  readonly kind: 'blank' | 'word' | 'other';
  readonly text: string;
  readonly end: number;
}

function* tokens(sql: string): Generator<Token> {
  for (let at = 0; at < sql.length; ) {
    const token = skipQuoted(sql, at) ?? plainToken(sql, at);
    yield { kind: token.kind, text: sql.slice(at, token.end), end: token.end };
    at = token.end;
  }
}

function plainToken(sql: string, at: number): { readonly kind: Token['kind']; readonly end: number } {
  const word = /[A-Za-z_\u0080-\uffff][\w$\u0080-\uffff]*/y;
  word.lastIndex = at;
  if (word.test(sql)) return { kind: 'word', end: word.lastIndex };
  return { kind: /\s/.test(sql[at] ?? '') ? 'blank' : 'other', end: at + 1 };
}

/** Whether a text ends in the midst of a string, a quoted name or a comment: a semicolon there would end nothing. */
export function endsQuoted(sql: string): boolean {
  for (let at = 0; at < sql.length; ) {
    const skipped = skipQuoted(sql, at);
    if (skipped === undefined) at += 1;
    else if (skipped.open) return true;
    else at = skipped.end;
  }
  return false;
}

/** The first word of a statement in capitals, behind space and comments: `SELECT`. */
export function firstWord(sql: string): string {
  for (const { kind, text } of tokens(sql)) {
    if (kind === 'word') return text.toUpperCase();
    if (kind === 'other' && text !== '(') return '';
  }
  return '';
}

function statementOf(sql: string, from: number, to: number): Statement {
  const lead = /^\s*/.exec(sql.slice(from, to))?.[0].length ?? 0;
  return { text: sql.slice(from + lead, to).trimEnd(), start: from + lead };
}

interface Skipped {
  readonly end: number;
  readonly kind: 'blank' | 'other';
  /** Whether the text ended before it did. */
  readonly open?: boolean;
}

/** What begins at a place and has a meaning of its own for semicolons; `undefined` when nothing does. */
function skipQuoted(sql: string, at: number): Skipped | undefined {
  const two = sql.slice(at, at + 2);
  if (two === '--') {
    const end = sql.indexOf('\n', at);
    return { end: end === -1 ? sql.length : end + 1, kind: 'blank' };
  }
  if (two === '/*') return skipComment(sql, at);
  const character = sql[at];
  if (character === "'") {
    // An E before it, which is no end of a longer word, lets a backslash escape.
    const escapes = /(^|[^\w$\u0080-\uffff])[Ee]$/.test(sql.slice(Math.max(0, at - 2), at));
    return skipUntil(sql, at, "'", escapes);
  }
  if (character === '"') return skipUntil(sql, at, '"', false);
  if (character !== '$' || /[\w\u0080-\uffff]/.test(sql[at - 1] ?? '')) return undefined;
  const [tag] = /^\$(?:[A-Za-z_\u0080-\uffff][\w\u0080-\uffff]*)?\$/.exec(sql.slice(at, at + 80)) ?? [];
  if (tag === undefined) return undefined;
  const end = sql.indexOf(tag, at + tag.length);
  return end === -1 ? { end: sql.length, kind: 'other', open: true } : { end: end + tag.length, kind: 'other' };
}

function skipUntil(sql: string, from: number, quote: string, escapes: boolean): Skipped {
  for (let at = from + 1; at < sql.length; at += 1) {
    if (escapes && sql[at] === '\\') at += 1;
    else if (sql[at] === quote && sql[at + 1] === quote) at += 1;
    else if (sql[at] === quote) return { end: at + 1, kind: 'other' };
  }
  return { end: sql.length, kind: 'other', open: true };
}

/** Comments in C's style may hold each other. */
function skipComment(sql: string, from: number): Skipped {
  let depth = 1;
  for (let at = from + 2; at < sql.length; at += 1) {
    const two = sql.slice(at, at + 2);
    if (two === '/*' || two === '*/') {
      depth += two === '/*' ? 1 : -1;
      at += 1;
      if (depth === 0) return { end: at + 1, kind: 'blank' };
    }
  }
  return { end: sql.length, kind: 'blank', open: true };
}
