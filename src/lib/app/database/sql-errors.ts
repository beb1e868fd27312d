import { sqlState } from '../../infra/database/errors.ts';
import {
  AppError,
  ConflictError,
  type ErrorDetails,
  ForbiddenError,
  InternalError,
  TimeoutError,
  UsageError,
} from '../../shared/errors.ts';

/** Where a statement stands that somebody wrote. */
export interface SqlSource {
  /** The whole text. */
  readonly text: string;
  /** Where the statement begins in it, in UTF-16 units. */
  readonly start: number;
  /** Name of the file; absent when it was typed. */
  readonly file?: string | undefined;
}

interface Reported extends Error {
  readonly position?: string;
  readonly hint?: string;
  readonly detail?: string;
}

/** Classes of SQLSTATE (manual, appendix A) that say that the statement is wrong, or its values. */
const aboutTheStatement = new Set([
  '03',
  '0A',
  '20',
  '21',
  '22',
  '23',
  '24',
  '25',
  '26',
  '2B',
  '2D',
  '34',
  '3B',
  '3D',
  '3F',
  '42',
  '44',
  '54',
  'P0',
]);
const aboutOthers = new Set(['40001', '40P01', '55P03', '55006']);

/**
 * What PostgreSQL said about a statement of the user's: with line and column in their text, and what to do.
 * @param meant names that somebody may have meant who wrote the name of a table that there is not
 */
export function statementError(
  error: unknown,
  source: SqlSource,
  options: { readonly write: boolean; readonly timeoutMs: number; readonly meant?: readonly string[] },
): unknown {
  const state = sqlState(error);
  if (state === undefined || error instanceof AppError) return error;
  const reported = error as Reported;
  const place = placeOf(reported, source);
  const message = `${place === undefined ? '' : `${place}  `}${reported.message}`;
  const details = (hint?: string): ErrorDetails => {
    const said = hint ?? reported.hint ?? reported.detail;
    return {
      ...(said === undefined ? {} : { hint: said }),
      data: { sqlstate: state, ...(place === undefined ? {} : { place }) },
      cause: error,
    };
  };
  if (state === '57014') {
    return new TimeoutError(`The statement was ended after ${options.timeoutMs / 1000} s: it took too long.`, {
      ...details('Ask for less, or give it more time with --timeout.'),
      next: ['infra db query --help'],
    });
  }
  if (state === '25006' || (state === '42501' && !options.write)) {
    return new ForbiddenError(
      message,
      details(
        state === '25006'
          ? 'Queries read only; --write changes data.'
          : 'Queries are run by a role that reads only, and nothing that holds a secret.',
      ),
    );
  }
  if (state === '42501') return new ForbiddenError(message, details());
  if (reported.message.startsWith('cannot insert multiple commands')) {
    return new UsageError('There is more than one statement.', details('Give one at a time; --write takes several.'));
  }
  if (aboutOthers.has(state)) return new ConflictError(message, details());
  if (!aboutTheStatement.has(state.slice(0, 2))) return new InternalError(message, details());
  const [meant] = options.meant ?? [];
  return new UsageError(message, {
    ...details(meant === undefined ? undefined : `Did you mean ${(options.meant ?? []).join(' or ')}?`),
    ...(state === '42P01' ? { next: ['infra db tables'] } : {}),
  });
}

/** The name of a table in an error that says that there is none. */
export function missingTable(error: unknown): string | undefined {
  if (sqlState(error) !== '42P01') return undefined;
  return /relation "(.+)" does not exist/.exec((error as Error).message)?.[1];
}

/** `line:column` counted from 1; PostgreSQL counts characters, not UTF-16 units. */
function placeOf({ position }: Reported, { text, start, file }: SqlSource): string | undefined {
  if (position === undefined) return undefined;
  const before = text.slice(0, start) + [...text.slice(start)].slice(0, Number(position) - 1).join('');
  const lines = before.split('\n');
  const place = `${lines.length}:${[...(lines.at(-1) ?? '')].length + 1}`;
  return file === undefined ? place : `${file}:${place}`;
}
