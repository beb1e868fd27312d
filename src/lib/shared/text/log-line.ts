/** A structured log line (JSON with `msg`) in the words that a person reads; any other line as it is. */
export function readableLogLine(line: string): string {
  if (!line.startsWith('{')) return line;
  try {
    const entry: unknown = JSON.parse(line);
    if (typeof entry !== 'object' || entry === null || !('msg' in entry) || typeof entry.msg !== 'string') return line;
    const level = 'level' in entry ? String(entry.level) : '';
    return level === '' || level === 'info' ? entry.msg : `${level}: ${entry.msg}`;
  } catch {
    return line; // cut off in the middle, or no JSON after all
  }
}
