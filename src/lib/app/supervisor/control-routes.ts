import { z } from 'zod';
import type { ControlRoute, ControlStream } from './control.ts';
import { logStream } from './log-route.ts';
import { carryOut } from './orders.ts';
import type { SupervisorEvent } from './status.ts';
import type { Supervisor } from './supervisor.ts';

/** Names may be kinds; see selection.ts. */
const orderInput = z.strictObject({
  names: z.array(z.string().min(1)).min(1).max(1_000).optional(),
  wait: z.boolean().optional(),
  timeoutMs: z.int().min(1).max(86_400_000).optional(),
});
const stopInput = orderInput.extend({ now: z.boolean().optional() });
const reconcileInput = z.strictObject({ dryRun: z.boolean().optional() });
const shutdownInput = z.strictObject({ now: z.boolean().optional() });
const noInput = z.strictObject({});
const eventsInput = z.strictObject({ after: z.string().max(100).optional() });

/** A listener who reads slower than things happen loses the oldest; that many may wait. */
const waitingLimit = 10_000;

/** The operations of the supervisor itself. */
export function supervisorRoutes(supervisor: Supervisor, shutdown: (now: boolean) => void): ControlRoute[] {
  return [
    route('GET', '/v1/status', noInput, async () => supervisor.status()),
    route('POST', '/v1/start', orderInput, (order, leftMs) => carryOut(supervisor, 'start', order, leftMs)),
    route('POST', '/v1/stop', stopInput, (order, leftMs) => carryOut(supervisor, 'stop', order, leftMs)),
    route('POST', '/v1/restart', orderInput, (order, leftMs) => carryOut(supervisor, 'restart', order, leftMs)),
    route('POST', '/v1/reconcile', reconcileInput, (options) => supervisor.reconcile(options)),
    route('POST', '/v1/shutdown', shutdownInput, async ({ now }) => {
      shutdown(now === true);
      return { accepted: true };
    }),
  ];
}

/** @param told called when a caller who has been given the end of a boot that failed, or of a stop, has left */
export function supervisorStreams(supervisor: Supervisor, told: () => void): ControlStream[] {
  return [
    {
      path: '/v1/events',
      input: eventsInput,
      stream: (input, signal) => events(supervisor, told, (input as z.output<typeof eventsInput>).after, signal),
      sse: (event: SupervisorEvent) => ({ id: supervisor.journal.nameOf(event), event: event.type }),
    },
    logStream(supervisor),
  ];
}

function route<S extends z.ZodType>(
  method: 'GET' | 'POST',
  path: string,
  input: S,
  handle: (input: z.output<S>, leftMs?: number) => Promise<unknown>,
): ControlRoute {
  return { method, path, input, handle: (checked, leftMs) => handle(checked as z.output<S>, leftMs) };
}

/** Everything since the supervisor began, or since the event of that name, then whatever happens. */
async function* events(
  supervisor: Supervisor,
  told: () => void,
  after: string | undefined,
  signal: AbortSignal,
): AsyncGenerator<SupervisorEvent | undefined, void, undefined> {
  yield undefined;
  const waiting: SupervisorEvent[] = [...supervisor.journal.past(after)];
  let wake: () => void = () => {};
  const off = supervisor.journal.listen((event) => {
    waiting.push(event);
    if (waiting.length > waitingLimit) waiting.shift();
    wake();
  });
  const onAbort = (): void => wake();
  signal.addEventListener('abort', onAbort, { once: true });
  let last = false;
  try {
    while (!signal.aborted) {
      for (let event = waiting.shift(); event !== undefined; event = waiting.shift()) {
        last ||= event.type === 'boot_failed' || event.type === 'stopped';
        yield event;
        if (event.type === 'stopped') return;
      }
      await new Promise<void>((resolve) => {
        wake = resolve;
        if (signal.aborted || waiting.length > 0) resolve();
      });
    }
  } finally {
    off();
    signal.removeEventListener('abort', onAbort);
    if (last) told();
  }
}
