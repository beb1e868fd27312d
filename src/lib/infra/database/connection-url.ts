import { PreconditionError } from '../../shared/errors.ts';
import type { ConnectionConfig } from './connection-config.ts';

const DEFAULT_PORT = 5432;
const KNOWN = new Set(['sslmode', 'host', 'port', 'user', 'password', 'application_name']);

/**
 * Reads a connection URL (PostgreSQL manual, 34.1.1.2): `postgres://user:password@host:5432/database?sslmode=require`;
 * `?host=/folder` for a unix socket. `sslmode` prefer and allow mean no TLS here; require and stronger check the
 * certificate; `no-verify` encrypts without a check.
 * @throws PreconditionError saying what is wrong, never quoting the URL, which holds the password
 */
export function parseConnectionUrl(text: string): ConnectionConfig {
  if (!URL.canParse(text)) throw invalid('it is no URL');
  const url = new URL(text);
  if (url.protocol !== 'postgres:' && url.protocol !== 'postgresql:')
    throw invalid('it does not begin with postgres://');
  const unknown = [...url.searchParams.keys()].find((name) => !KNOWN.has(name));
  if (unknown !== undefined) throw invalid(`the parameter ${unknown} is not known`);
  const database = decode(url.pathname.slice(1));
  const user = url.searchParams.get('user') ?? decode(url.username);
  if (database === '') throw invalid('it names no database');
  if (user === '') throw invalid('it names no user');
  const bare = decode(url.hostname).replace(/^\[(.*)\]$/, '$1');
  const ssl = sslOf(url.searchParams.get('sslmode') ?? 'disable');
  return {
    host: url.searchParams.get('host') ?? (bare === '' ? 'localhost' : bare),
    port: Number(url.searchParams.get('port') ?? (url.port === '' ? DEFAULT_PORT : url.port)),
    database,
    user,
    password: url.searchParams.get('password') ?? decode(url.password),
    ...(ssl === false ? {} : { ssl }),
  };
}

/** The URL that a child process gets. The host must be an address: the form with a socket is not read by every client. */
export function toConnectionUrl(config: ConnectionConfig): string {
  const credentials = `${encodeURIComponent(config.user)}:${encodeURIComponent(config.password)}`;
  const host = config.host.includes(':') ? `[${config.host}]` : config.host;
  const query =
    config.ssl === undefined || config.ssl === false
      ? ''
      : `?sslmode=${config.ssl === true ? 'verify-full' : 'no-verify'}`;
  if (host.startsWith('/')) {
    return `postgres://${credentials}@localhost:${config.port}/${encodeURIComponent(config.database)}?host=${encodeURIComponent(host)}`;
  }
  return `postgres://${credentials}@${host}:${config.port}/${encodeURIComponent(config.database)}${query}`;
}

function sslOf(mode: string): boolean | 'no-verify' {
  switch (mode) {
    case 'disable':
    case 'allow':
    case 'prefer':
      return false;
    case 'require':
    case 'verify-ca':
    case 'verify-full':
      return true;
    case 'no-verify':
      return 'no-verify';
    default:
      throw invalid('sslmode is one of disable, require, verify-full, no-verify');
  }
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch (error) {
    throw invalid('a % in it is not followed by two hexadecimal digits', error);
  }
}

function invalid(what: string, cause?: unknown): PreconditionError {
  return new PreconditionError(`The connection URL of the database can't be used: ${what}.`, {
    hint: 'Write database.url as postgres://user:password@host:5432/database, with % encoding for special characters.',
    ...(cause === undefined ? {} : { cause }),
  });
}
