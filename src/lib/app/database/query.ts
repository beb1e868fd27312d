import { boundedQuery } from '../../infra/database/bounded-query.ts';
import type { ConnectionConfig } from '../../infra/database/connection-config.ts';
import { type Session, withSession } from '../../infra/database/session.ts';
import { firstWord, type Statement, splitStatements } from '../../infra/database/statements.ts';
import type { TableArtifact } from '../../shared/artifact.ts';
import { CancelledError, ForbiddenError, UsageError } from '../../shared/errors.ts';
import { nearest } from '../../shared/nearest.ts';
import { columnsOf, itemOf } from './cells.ts';
import { missingTable, statementError } from './sql-errors.ts';

export interface QueryRequest {
  readonly sql: string;
  /** Where it was read from, for errors. */
  readonly file?: string | undefined;
  /** Most rows of an answer. */
  readonly limit: number;
  readonly timeoutMs: number;
  /** Ends the statement that is running. */
  readonly signal?: AbortSignal | undefined;
}

/** What ends or begins a transaction: the one that is open around all statements is the caller's. */
const transactionWords = new Set(['BEGIN', 'START', 'COMMIT', 'END', 'ROLLBACK', 'ABORT', 'PREPARE']);

/**
 * Asks one question: one statement, in a READ ONLY transaction, as the role that can read only and sees no secret.
 * @param reader connection of that role
 * @throws UsageError with line and column for what PostgreSQL does not take, ForbiddenError for what would change something
 *   or show a secret, TimeoutError
 */
export async function readQuery(reader: ConnectionConfig, request: QueryRequest): Promise<TableArtifact> {
  refuseEmpty(request.sql);
  // It answers nothing, and can catch what the statement timeout throws: then it runs for ever.
  if (firstWord(request.sql) === 'DO') {
    throw new ForbiddenError('DO runs code, it asks nothing.', { hint: 'Write a SELECT, or run it with --write.' });
  }
  return await withSession(reader, { applicationName: 'systemprompt query' }, async (session) => {
    await begin(session, 'READ ONLY', request.timeoutMs);
    using _cancel = cancelOn(request.signal, reader, session);
    return await answerOf(session, request, { text: request.sql, start: 0 }, false);
  });
}

/**
 * Runs statements in one transaction as the application's role: all of them are kept, or none.
 * @param app connection of that role
 * @returns the rows of the last one, or what each has done when that gives none
 * @throws as `readQuery` does
 */
export async function writeQuery(app: ConnectionConfig, request: QueryRequest): Promise<TableArtifact> {
  const { statements, rest } = splitStatements(request.sql);
  const all = rest === undefined ? statements : [...statements, rest];
  refuseEmpty(request.sql);
  for (const statement of all) refuseTransaction(statement, request);
  return await withSession(app, { applicationName: 'systemprompt query --write', actor: 'system' }, async (session) => {
    await begin(session, 'READ WRITE', request.timeoutMs);
    using _cancel = cancelOn(request.signal, app, session);
    const done: TableArtifact[] = [];
    for (const statement of all) done.push(await answerOf(session, request, statement, true));
    await session.query('COMMIT').catch((error: unknown) => {
      throw statementError(error, { text: request.sql, start: 0, file: request.file }, { ...request, write: true });
    });
    const [only] = done;
    if (done.length === 1 && only !== undefined) return only;
    const last = done.at(-1);
    return last !== undefined && last.columns[0]?.name !== doneColumns[0]?.name
      ? last
      : doneTable(done.flatMap(({ items }) => items));
  });
}

async function begin(session: Session, mode: 'READ ONLY' | 'READ WRITE', timeoutMs: number): Promise<void> {
  await session.query("SET TIME ZONE 'UTC'; SET lock_timeout = '15s'");
  await session.query(`SET statement_timeout = ${Math.max(1, Math.round(timeoutMs))}`);
  await session.query(`BEGIN ${mode}`);
}

/** A role may end what runs in its own name: the server stops at once, instead of when it next has something to say. */
function cancelOn(signal: AbortSignal | undefined, as: ConnectionConfig, session: Session): Disposable {
  const { processID } = session.client as unknown as { readonly processID?: number };
  const cancel = (): void => {
    withSession(as, { applicationName: 'systemprompt cancel' }, (other) =>
      other.query('SELECT pg_cancel_backend($1)', [processID]),
    ).catch(() => undefined); // the statement timeout ends it then
  };
  signal?.addEventListener('abort', cancel, { once: true });
  if (signal?.aborted === true) cancel();
  return { [Symbol.dispose]: () => signal?.removeEventListener('abort', cancel) };
}

async function answerOf(
  session: Session,
  request: QueryRequest,
  statement: Statement,
  write: boolean,
): Promise<TableArtifact> {
  const { fields, rows, more, command, touched } = await boundedQuery(session, statement.text, request.limit).catch(
    async (error: unknown) => {
      if (request.signal?.aborted === true) throw new CancelledError('The statement was ended', { cause: error });
      const source = { text: request.sql, start: statement.start, file: request.file };
      const meant = await tablesLike(session, missingTable(error));
      throw statementError(error, source, { write, timeoutMs: request.timeoutMs, meant });
    },
  );
  if (fields.length === 0) return doneTable([{ statement: command ?? '', rows: touched ?? null }]);
  const columns = columnsOf(fields);
  const items = rows.map((row) => itemOf(row, columns, fields));
  return {
    type: 'table',
    columns,
    items,
    count: items.length,
    empty: 'No rows.',
    ...(more ? { notes: [`There are more rows: these are the first ${request.limit} (--limit).`] } : {}),
  };
}

const doneColumns: TableArtifact['columns'] = [
  { name: 'statement', label: 'DONE', column_type: 'string' },
  { name: 'rows', column_type: 'integer' },
];

function doneTable(items: TableArtifact['items']): TableArtifact {
  return { type: 'table', columns: doneColumns, items, count: items.length, empty: 'Nothing was done.' };
}

async function tablesLike(session: Session, name: string | undefined): Promise<readonly string[]> {
  if (name === undefined) return [];
  await session.query('ROLLBACK'); // the failed transaction answers no question
  const rows = await session.query<{ name: string }>(
    `SELECT CASE WHEN n.nspname = 'public' THEN c.relname ELSE n.nspname || '.' || c.relname END AS name
       FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'`,
  );
  const names = rows.map((row) => row.name);
  const bare = name.split('.').at(-1) ?? name;
  const elsewhere = names.filter((candidate) => candidate.split('.').at(-1) === bare);
  return elsewhere.length > 0 ? elsewhere.slice(0, 3) : nearest(name, names, 2);
}

function refuseEmpty(sql: string): void {
  if (firstWord(sql) === '' && splitStatements(sql).rest === undefined && splitStatements(sql).statements.length === 0)
    throw new UsageError('There is no statement.', { next: ['infra db query --help'] });
}

function refuseTransaction({ text }: Statement, { file }: QueryRequest): void {
  const word = firstWord(text);
  if (!transactionWords.has(word)) return;
  const savepoint = /^(ROLLBACK|ABORT)\s+(WORK\s+|TRANSACTION\s+)?TO\b/i.test(text);
  const statement = word === 'PREPARE' && !/^PREPARE\s+TRANSACTION\b/i.test(text);
  if (savepoint || statement) return;
  throw new UsageError(
    `${file === undefined ? '' : `${file}: `}${word} can't be used: all statements are one transaction.`,
    {
      hint: 'Leave it out; SAVEPOINT and ROLLBACK TO work.',
    },
  );
}
