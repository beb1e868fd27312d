import { setTimeout as delay } from 'node:timers/promises';
import { SupervisorClient } from '../../../lib/app/supervisor/client.ts';
import type { InstanceStatus, SupervisorEvent } from '../../../lib/app/supervisor/status.ts';
import type { Instance } from '../../../lib/infra/config/instance.ts';
import { isNotRunning, TimeoutError } from '../../../lib/shared/errors.ts';

/** Where the supervisor of an instance is found. */
export type SupervisorPlace = Pick<Instance, 'controlSocket'> & Partial<Pick<Instance, 'runDir'>>;

export type Followed =
  /** A supervisor answers; `at` is the time before it was asked, so that its later events can be told from earlier ones. */
  | {
      readonly type: 'connected';
      readonly client: SupervisorClient;
      readonly status: InstanceStatus;
      readonly at: string;
    }
  | { readonly type: 'event'; readonly event: SupervisorEvent }
  /** None answers any more; told once, until one does again. */
  | { readonly type: 'lost' };

/**
 * What the supervisor of an instance tells, and the one after it when it has ended, until the signal fires. Of each
 * supervisor every event comes once: first those since it began.
 *
 * @throws SupervisorUnavailableError when the socket is another user's; TimeoutError when the first one does not answer
 */
export async function* followSupervisor(
  { controlSocket, runDir }: SupervisorPlace,
  signal: AbortSignal,
  retryMs = 500,
): AsyncGenerator<Followed, void, undefined> {
  let run = '';
  let seen = 0;
  let connected = true;
  while (!signal.aborted) {
    let client: SupervisorClient | undefined;
    try {
      client = await SupervisorClient.connect(controlSocket, runDir);
      const at = new Date().toISOString();
      const status = await client.status({ signal });
      const { pid, startedAt } = status.supervisor;
      if (run !== `${pid} ${startedAt}`) seen = 0;
      run = `${pid} ${startedAt}`;
      connected = true;
      yield { type: 'connected', client, status, at };
      for await (const event of client.events(signal)) {
        if (event.seq <= seen) continue;
        seen = event.seq;
        yield { type: 'event', event };
      }
    } catch (error) {
      // One that hangs when the watch begins is told; later it is waited for, as one that is gone.
      if (!isNotRunning(error) && !(error instanceof TimeoutError && run !== '')) throw error;
    } finally {
      client?.close();
    }
    if (signal.aborted) return;
    if (connected) yield { type: 'lost' };
    connected = false;
    await delay(retryMs, undefined, { signal }).catch(() => {}); // the loop looks at the signal
  }
}
