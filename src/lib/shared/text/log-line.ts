/** What PostgreSQL puts before a message under our log_line_prefix '%m [%p] ', its log_timezone being UTC. */
const postgresPrefix = /^(\d{4}-\d{2}-\d{2}) (\d{2}:\d{2}:\d{2}(?:\.\d+)?) (\S+) \[\d+\] (?:([A-Z]+\d?): {1,2})?/;

/** PostgreSQL's severities in our words; what is not named here is its word in lower case. */
const severities: Readonly<Record<string, string>> = {
  LOG: 'info',
  NOTICE: 'info',
  WARNING: 'warn',
  FATAL: 'error',
  PANIC: 'error',
};

/** What the server answers while it comes up and goes down: fatal to who asked too early, and no fault of anybody's. */
const passing = /^the database system is (?:starting up|not yet accepting connections|shutting down)$/;

/** Lines that go on about the message before them. */
const continued = new Set(['DETAIL', 'HINT', 'CONTEXT', 'STATEMENT', 'QUERY', 'LOCATION']);

/** A log line taken apart. Of a line without time and level, such as the second of a stack, the message is all there is. */
export interface LogRecord {
  /** ISO 8601, UTC. */
  readonly time?: string;
  readonly level?: string;
  /** Through which stream a program of somebody else's printed it. */
  readonly stream?: string;
  readonly message: string;
  /** What a structured line says beside it: `code=TIMEOUT port=5000`. */
  readonly facts?: string;
}

/** Told in columns of their own, or the same for every line of a service. */
const told = new Set(['time', 'level', 'service', 'instanceId', 'stream', 'pid', 'msg', 'v', 'hostname']);

/** Reads a structured line (JSON with `msg`) or one of PostgreSQL; any other line is its own message. */
export function logRecord(line: string): LogRecord {
  return line.startsWith('{') ? structured(line) : fromPostgres(line);
}

/** A log line in the words that a person reads, on its own: without its time, and its level only where it is not info. */
export function readableLogLine(line: string): string {
  if (!line.startsWith('{')) {
    const message = line.replace(postgresPrefix, '');
    return passing.test(message) ? message : line.replace(postgresPrefix, (_, ...parts) => spokenSeverity(parts[3]));
  }
  const { level, message } = structured(line);
  return level === undefined || level === 'info' ? message : `${level}: ${message}`;
}

function spokenSeverity(severity: unknown): string {
  return typeof severity !== 'string' || severity === 'LOG' ? '' : `${severity}:  `;
}

function structured(line: string): LogRecord {
  try {
    const entry: unknown = JSON.parse(line);
    if (typeof entry !== 'object' || entry === null || !('msg' in entry) || typeof entry.msg !== 'string')
      return { message: line };
    return {
      ...('time' in entry && typeof entry.time === 'string' ? { time: entry.time } : {}),
      ...('level' in entry ? { level: String(entry.level) } : {}),
      ...('stream' in entry ? { stream: String(entry.stream) } : {}),
      message: entry.msg,
      ...factsOf(entry),
    };
  } catch {
    return { message: line }; // cut off in the middle, or no JSON after all
  }
}

function factsOf(entry: object): Pick<LogRecord, 'facts'> {
  const facts = Object.entries(entry).flatMap(([name, value]: [string, unknown]) => {
    if (told.has(name)) return [];
    // An error is an object; its stack and the like are for --json.
    const fact = value instanceof Object && 'message' in value ? value.message : value;
    return fact instanceof Object ? [] : [`${name}=${String(fact)}`];
  });
  return facts.length === 0 ? {} : { facts: facts.join(' ') };
}

function fromPostgres(line: string): LogRecord {
  const [prefix, date, time, zone, severity] = postgresPrefix.exec(line) ?? [];
  if (prefix === undefined) return { message: line };
  const at = zone === 'UTC' ? { time: `${date}T${time}Z` } : {};
  if (severity !== undefined && continued.has(severity)) {
    return { ...at, message: `${severity}:  ${line.slice(prefix.length)}` };
  }
  const message = line.slice(prefix.length);
  const level = passing.test(message) ? 'info' : severity && (severities[severity] ?? severity.toLowerCase());
  return { ...at, ...(level === undefined ? {} : { level }), message };
}
