import pg from 'pg';
import type { Session } from './session.ts';

/** A column of an answer, by PostgreSQL's number of its type. */
export interface AnswerField {
  readonly name: string;
  readonly type: number;
}

/** The answer to one statement, cell by cell as PostgreSQL writes them. */
export interface BoundedAnswer {
  readonly fields: readonly AnswerField[];
  readonly rows: readonly (readonly (string | null)[])[];
  /** Whether there were more rows than were asked for. */
  readonly more: boolean;
  /** `SELECT`, `INSERT`, …; the name of what was done. */
  readonly command: string | undefined;
  /** How many rows it touched, for one that changes some. */
  readonly touched: number | undefined;
}

/** The driver's own name of what it calls while a statement runs (pg/lib/query.js); its types leave it out. */
interface Wire {
  sync(): void;
}
interface RowsQuery {
  handlePortalSuspended(connection: Wire): void;
  handleError(error: Error, connection: Wire): void;
}

/**
 * Runs one statement and takes at most so many rows of its answer: no more are sent, and what the server would have to
 * compute for them it does not (Execute with a row limit: manual, 54.2.3). Text that holds several statements is refused by the
 * server itself, since it is parsed by the extended protocol.
 * @throws PostgreSQL's own error, with `position` counted in `text`
 */
export function boundedQuery(session: Session, text: string, limit: number): Promise<BoundedAnswer> {
  return new Promise((resolve, reject) => {
    let suspended = false;
    const config = {
      text,
      // One more, to know whether there are more. The driver goes by the number for whether to stop at all.
      rows: limit + 1,
      rowMode: 'array',
      types: { getTypeParser: () => (value: string) => value },
    } as unknown as pg.QueryConfig;
    const callback = (error: Error | null | undefined, answered: unknown): void => {
      if (error) reject(error);
      else resolve(answerOf(answered as pg.QueryArrayResult<(string | null)[]>, limit, suspended));
    };
    const Query = pg.Query as unknown as new (
      config: pg.QueryConfig,
      values: undefined,
      done: typeof callback,
    ) => pg.Query;
    const query = new Query(config, undefined, callback);
    const rows = query as unknown as RowsQuery;
    // The driver would go on and fetch the rest; a Sync ends it here.
    rows.handlePortalSuspended = (connection) => {
      suspended = true;
      connection.sync();
    };
    // Nor does it send one behind a statement that failed, without which the session takes no other.
    const failed = rows.handleError.bind(rows);
    rows.handleError = (error, connection) => {
      if ('severity' in error) connection.sync();
      failed(error, connection);
    };
    session.client.query(query);
  });
}

function answerOf(
  { fields, rows, command, rowCount }: pg.QueryArrayResult<(string | null)[]>,
  limit: number,
  suspended: boolean,
): BoundedAnswer {
  return {
    fields: fields.map(({ name, dataTypeID }) => ({ name, type: dataTypeID })),
    rows: rows.slice(0, limit),
    more: suspended || rows.length > limit,
    command: command ?? undefined,
    touched: fields.length === 0 ? (rowCount ?? undefined) : undefined,
  };
}
