/** What PostgreSQL puts before a message by default (log_line_prefix '%m [%p] '). */
const postgresPrefix = /^\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}(?:\.\d+)? \S+ \[\d+\] (?:LOG: {1,2})?/;

/**
 * A log line in the words that a person reads: the message of a structured one (JSON with `msg`), one of PostgreSQL
 * without its time and process; any other line as it is.
 */
export function readableLogLine(line: string): string {
  if (!line.startsWith('{')) return line.replace(postgresPrefix, '');
  try {
    const entry: unknown = JSON.parse(line);
    if (typeof entry !== 'object' || entry === null || !('msg' in entry) || typeof entry.msg !== 'string') return line;
    const level = 'level' in entry ? String(entry.level) : '';
    return level === '' || level === 'info' ? entry.msg : `${level}: ${entry.msg}`;
  } catch {
    return line; // cut off in the middle, or no JSON after all
  }
}
