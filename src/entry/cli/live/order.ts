import type { SupervisorClient } from '../../../lib/app/supervisor/client.ts';
import type { ServicesResult } from '../../../lib/app/supervisor/status.ts';
import type { TableArtifact } from '../../../lib/shared/artifact.ts';
import { type AppError, TimeoutError } from '../../../lib/shared/errors.ts';
import { errorFromWire, errorToWire } from '../../../lib/shared/wire.ts';
import { changedTable, type OrderVerb, orderFailure } from '../views/changed.ts';
import { lastLinesOf, lastWords, namedLines } from './follow.ts';

const answerMs = 5_000;

export interface OrderRequest {
  readonly wait: boolean;
  /** In seconds. */
  readonly timeout: number;
  readonly now?: boolean;
}

export interface OrderOutcome {
  readonly result: ServicesResult;
  readonly table: TableArtifact;
  /** Set when not all of it was done. */
  readonly failure: AppError | undefined;
}

/**
 * Gives an order about services by name or kind, all when there are none, and waits for the outcome if told to.
 *
 * @throws TimeoutError with the last lines of the first that is not there yet; NotFoundError; ConflictError
 */
export async function giveOrder(
  verb: OrderVerb,
  client: SupervisorClient,
  names: readonly string[],
  { wait, timeout, now }: OrderRequest,
): Promise<OrderOutcome> {
  const chosen = names.length === 0 ? undefined : names;
  const options = wait ? { timeoutMs: timeout * 1000 } : { wait: false };
  // One that hangs is found out at once, not when the order's time is up.
  await client.status({ withinMs: Math.min(answerMs, timeout * 1000) });
  try {
    const result =
      verb === 'stop'
        ? await client.stop(chosen, { ...options, ...(now === true ? { now } : {}) })
        : await client[verb](chosen, options);
    const failed = result.failed.filter((name) => !(result.overtaken ?? []).includes(name));
    const log = namedLines({ ...lastWords(result.services, failed), ...result.lines });
    return { result, table: changedTable(verb, result), failure: orderFailure(verb, result, log) };
  } catch (error) {
    const { pending } = error instanceof TimeoutError ? error.data : {};
    if (!(error instanceof TimeoutError) || !Array.isArray(pending)) throw error;
    const wire = errorToWire(error);
    const log = await lastLinesOf(client, pending.slice(0, 1).map(String));
    throw errorFromWire({ ...wire, data: { ...wire.data, log } });
  }
}
