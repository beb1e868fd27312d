import type { Socket } from 'node:net';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { from, to } from 'pg-copy-streams';
import type { Session } from './session.ts';

/**
 * Reads a table by COPY, in the text format, which every version of PostgreSQL reads. No faster than `take` takes it.
 * @param source what stands behind COPY: a table with columns, or a query in parentheses
 * @returns how many rows there were
 * @throws PostgreSQL's error, or that of `take`; the session is of no use then
 */
export async function copyOut(
  session: Session,
  source: string,
  take: (chunk: Buffer) => Promise<void> | void,
): Promise<number> {
  const stream = session.client.query(to(`COPY ${source} TO STDOUT`));
  try {
    for await (const chunk of stream) await take(chunk as Buffer);
    return stream.rowCount;
  } catch (error) {
    // Left in the midst of it, the connection would take no goodbye.
    socketOf(session)?.destroy();
    throw error;
  }
}

/**
 * Fills a table by COPY, as `copyOut` read it.
 * @param target the table with its columns
 * @returns how many rows it took
 * @throws PostgreSQL's error, or that of `chunks`
 */
export async function copyIn(session: Session, target: string, chunks: AsyncIterable<Buffer>): Promise<number> {
  const stream = session.client.query(from(`COPY ${target} FROM STDIN`));
  await pipeline(Readable.from(chunks, { objectMode: true, highWaterMark: 1 }), stream);
  return stream.rowCount;
}

function socketOf({ client }: Session): Socket | undefined {
  return (client as unknown as { connection?: { stream?: Socket } }).connection?.stream;
}
