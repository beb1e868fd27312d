import { quoteIdentifier as id } from '../../infra/database/identifiers.ts';
import { withSession } from '../../infra/database/session.ts';
import { findRelation } from './catalog.ts';
import { asReader, connectionOf, type DatabasePlace } from './connections.ts';
import { statementError } from './sql-errors.ts';

/**
 * How many rows a table has, counted.
 * @throws NotFoundError with the nearest names; TimeoutError
 */
export async function countRows(
  place: DatabasePlace,
  wanted: string,
  timeoutMs: number,
): Promise<{ readonly table: string; readonly rows: number }> {
  const relation = await asReader(place, (session) => findRelation(session, wanted));
  // Its owner's right to look: a number gives nothing away that a column would.
  const connection = await connectionOf(place, relation.owner);
  const sql = `SELECT count(*) AS rows FROM ${id(relation.schema)}.${id(relation.name)}`;
  const rows = await withSession(connection, { applicationName: 'systemprompt count' }, async (session) => {
    await session.query(`SET statement_timeout = ${timeoutMs}; SET lock_timeout = '15s'`);
    await session.query('BEGIN READ ONLY');
    return await session.query<{ rows: number }>(sql).catch((error: unknown) => {
      throw statementError(error, { text: sql, start: 0 }, { write: false, timeoutMs });
    });
  });
  return { table: relation.shown, rows: rows[0]?.rows ?? 0 };
}
