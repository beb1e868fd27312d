import { createHash } from 'node:crypto';

/** Bytes of a name that PostgreSQL keeps (NAMEDATALEN - 1); it cuts longer ones off silently. */
const NAME_BYTES = 63;

/** A name as an SQL identifier (PostgreSQL manual, 4.1.1): any character but NUL is allowed between double quotes. */
export function quoteIdentifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** A text as an SQL string constant, for statements that take no parameters (DDL). */
export function quoteLiteral(text: string): string {
  const quoted = `'${text.replaceAll("'", "''")}'`;
  return text.includes('\\') ? ` E${quoted.replaceAll('\\', '\\\\')}` : quoted;
}

/** The name itself, or when it is too long its beginning and a digest of the whole, so that two never meet. */
export function shortName(name: string): string {
  if (Buffer.byteLength(name) <= NAME_BYTES) return name;
  const digest = createHash('sha256').update(name).digest('hex').slice(0, 12);
  const head = Buffer.from(name)
    .subarray(0, NAME_BYTES - digest.length - 1)
    .toString('utf8')
    .replace(/\uFFFD+$/, '');
  return `${head}_${digest}`;
}
