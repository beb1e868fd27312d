import type { ServicesResult } from '../../../lib/app/supervisor/status.ts';
import type { TableArtifact } from '../../../lib/shared/artifact.ts';
import {
  type AppError,
  ConflictError,
  type ErrorDetails,
  PartialError,
  PreconditionError,
  UpstreamFailedError,
} from '../../../lib/shared/errors.ts';
import { errorClass } from '../../../lib/shared/wire.ts';
import { rowsTable } from './services.ts';

export type OrderVerb = 'start' | 'stop' | 'restart';

const done: Readonly<Record<OrderVerb, string>> = { start: 'Started', stop: 'Stopped', restart: 'Restarted' };

/** The services that an order was about, and in words what became of it. */
export function changedTable(verb: OrderVerb, result: ServicesResult): TableArtifact {
  const { services, failed, already = [], pending = [], dependents = [] } = result;
  const all = services.map(({ name }) => name);
  const named = result.named ?? all;
  const changed = all.filter((name) => ![failed, already, pending].some((others) => others.includes(name)));
  const sentences = [
    said(changed.filter(among(named)), (names) => `${done[verb]} ${names}`),
    said(
      changed.filter((name) => !named.includes(name)),
      (names, one) => `${done[verb]} ${names} too: ${whyToo(verb, one, named)}`,
    ),
    said(already.filter(among(named)), (names, one) => {
      return `${names} ${one ? 'was' : 'were'} already ${verb === 'stop' ? 'stopped' : 'running'}`;
    }),
    said(pending, (names, one) => `${names} ${one ? 'is' : 'are'} on the way`),
    said(failed, (names) => `Failed: ${names}`),
  ].filter((sentence) => sentence !== undefined);
  const stood = said(dependents, (names, one) => {
    return `${names} ${one ? 'stands' : 'stand'} on ${list(named)}, and ${one ? 'was' : 'were'} not restarted`;
  });
  return rowsTable(sentences.join('. ') || 'No services found', services, stood === undefined ? [] : [stood]);
}

/** Why services were stopped or started that nobody named. */
function whyToo(verb: OrderVerb, one: boolean, named: readonly string[]): string {
  if (verb === 'stop') return `${one ? 'it stands' : 'they stand'} on ${list(named)}`;
  return `${list(named)} ${named.length === 1 ? 'stands' : 'stand'} on ${one ? 'it' : 'them'}`;
}

function said(names: readonly string[], say: (names: string, one: boolean) => string): string | undefined {
  return names.length === 0 ? undefined : say(list(names), names.length === 1);
}

function among(names: readonly string[]): (name: string) => boolean {
  return (name) => names.includes(name);
}

/**
 * Why an order is no success: PARTIAL when a part of what was asked for was done, else the code that the failed services
 * themselves gave. Undefined when nothing failed.
 *
 * @param log the last lines of what failed
 */
export function orderFailure(verb: OrderVerb, result: ServicesResult, log: readonly string[]): AppError | undefined {
  const { services, failed, overtaken = [] } = result;
  if (failed.length === 0) return undefined;
  const named = result.named ?? services.map(({ name }) => name);
  const succeeded = named.filter((name) => !failed.includes(name));
  const statuses = services.filter(({ name }) => failed.includes(name));
  const other = `overtaken by a ${verb === 'stop' ? 'start' : 'stop'}`;
  const reasons = statuses.map(({ name, state, lastError }) => {
    return `${name}: ${overtaken.includes(name) ? other : (lastError ?? `it is ${state}`)}`;
  });
  const message = `Failed to ${verb} ${reasons.join('; ')}`;
  const details: ErrorDetails = {
    ...(succeeded.length === 0 ? {} : { hint: `Done: ${list(succeeded)}. Not done: ${list(failed)}.` }),
    next: [
      ...failed
        .filter((name) => !overtaken.includes(name))
        .slice(0, 1)
        .map((name) => `infra services logs ${name}`),
      'infra services status',
    ],
    data: { failed, succeeded, log, ...(overtaken.length === 0 ? {} : { overtaken }) },
  };
  if (succeeded.length > 0) return new PartialError(message, details);
  if (failed.every((name) => overtaken.includes(name))) return new ConflictError(message, details);
  const codes = new Set(statuses.map(({ lastErrorCode }) => lastErrorCode));
  const [code] = codes;
  // Its findings stay in the message: the process that found them has told them in words only.
  if (codes.size === 1 && code === 'CONFIG_INVALID') return new PreconditionError(message, details);
  const Class = codes.size === 1 && code !== undefined ? errorClass(code) : undefined;
  return new (Class ?? UpstreamFailedError)(message, details);
}

function list(names: readonly string[]): string {
  return names.length < 2 ? names.join('') : `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`;
}
