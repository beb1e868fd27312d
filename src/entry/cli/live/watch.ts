import type { SupervisorClient } from '../../../lib/app/supervisor/client.ts';
import type { InstanceStatus, SupervisorEvent } from '../../../lib/app/supervisor/status.ts';
import { toAppError } from '../../../lib/shared/errors.ts';
import type { Interrupts } from '../interrupt.ts';
import type { Output } from '../output/output.ts';
import { changedTable, orderFailure } from '../views/changed.ts';
import { type Key, type Keyboard, Keys } from './keys.ts';
import { eventLine } from './plain.ts';
import { followSupervisor, type SupervisorPlace } from './supervisor-feed.ts';
import {
  emptyWatch,
  pressed,
  type WatchAction,
  type WatchModel,
  withEvent,
  withLogLine,
  withoutSupervisor,
  withStatus,
} from './watch-model.ts';

const refreshMs = 1_000;
const firstLogLines = 50;

/** What is drawn on. */
interface Screen {
  show(model: WatchModel): void;
}

/**
 * The drawn watch: shows what a supervisor tells and does what keys say, until `q` or a signal.
 *
 * @returns how things were last
 */
export async function watchDrawn(
  place: SupervisorPlace,
  keyboard: Keyboard,
  screen: Screen,
  interrupts: { readonly signal: AbortSignal; readonly interrupt: () => void },
): Promise<InstanceStatus | undefined> {
  const over = new AbortController();
  const signal = AbortSignal.any([over.signal, interrupts.signal]);
  const watch = new Watch(screen, (type) => {
    over.abort();
    if (type === 'interrupt') interrupts.interrupt();
  });
  using _keys = new Keys(keyboard, (key) => watch.key(key));
  const refresh = setInterval(() => void watch.refresh(), refreshMs);
  try {
    for await (const told of followSupervisor(place, signal)) {
      if (told.type === 'connected') watch.connected(told.client, told.status, told.at);
      else if (told.type === 'event') watch.event(told.event);
      else watch.lost();
    }
  } finally {
    clearInterval(refresh);
    watch.close();
  }
  return watch.model.status;
}

class Watch {
  model = emptyWatch;
  readonly #screen: Screen;
  readonly #end: (type: 'quit' | 'interrupt') => void;
  #client: SupervisorClient | undefined;
  #logs: AbortController | undefined;
  /** When the supervisor was asked how things are: what it tells of earlier is history. */
  #since = '';

  constructor(screen: Screen, end: (type: 'quit' | 'interrupt') => void) {
    this.#screen = screen;
    this.#end = end;
  }

  change(model: WatchModel): void {
    this.model = model;
    this.#screen.show(model);
  }

  connected(client: SupervisorClient, status: InstanceStatus, at: string): void {
    this.#client = client;
    this.#since = at;
    this.change({ ...withStatus(this.model, status), message: undefined });
    const { logs } = this.model;
    if (logs !== undefined) this.#followLogs(logs.service);
  }

  event(event: SupervisorEvent): void {
    this.change(withEvent(this.model, event, event.at < this.#since));
  }

  lost(): void {
    this.#client = undefined;
    this.change(withoutSupervisor(this.model, new Date().toISOString()));
  }

  /** What no event tells: memory, latencies, the time. */
  async refresh(): Promise<void> {
    const client = this.#client;
    if (client === undefined) return this.change(this.model);
    try {
      const status = await client.status();
      if (client === this.#client) this.change(withStatus(this.model, status));
    } catch {
      // That it is gone shows in the stream of events.
    }
  }

  key(key: Key): void {
    const { model, action } = pressed(this.model, key);
    this.change(model);
    if (action !== undefined) this.#act(action);
  }

  close(): void {
    this.#logs?.abort();
  }

  #act(action: WatchAction): void {
    switch (action.type) {
      case 'quit':
      case 'interrupt':
        this.#end(action.type);
        break;
      case 'no_logs':
        this.#logs?.abort();
        break;
      case 'logs':
        this.#followLogs(action.service);
        break;
      default:
        void this.#order(action.type, action.service);
    }
  }

  async #order(verb: 'start' | 'stop' | 'restart', service: string): Promise<void> {
    let message: string | undefined;
    try {
      const result = await this.#client?.[verb]([service]);
      if (result === undefined) return;
      message = orderFailure(verb, result, [])?.message ?? changedTable(verb, result).title;
    } catch (error) {
      message = `Failed to ${verb} ${service}: ${toAppError(error).message}`;
    }
    this.change({ ...this.model, message });
  }

  #followLogs(service: string): void {
    this.#logs?.abort();
    const following = new AbortController();
    this.#logs = following;
    const client = this.#client;
    if (client === undefined) return;
    const query = { service, lines: firstLogLines, follow: true, signal: following.signal };
    void (async () => {
      try {
        for await (const entry of client.logs(query)) this.change(withLogLine(this.model, service, entry.line));
      } catch (error) {
        if (!following.signal.aborted) this.change({ ...this.model, message: toAppError(error).message });
      }
    })();
  }
}

/**
 * The watch for who has no terminal to draw on: the services as they are, then a line for each event, as text or as JSON.
 *
 * @returns how many events there were
 */
export async function watchPlain(place: SupervisorPlace, output: Output, interrupts: Interrupts): Promise<number> {
  let count = 0;
  let from = '';
  for await (const told of followSupervisor(place, interrupts.signal)) {
    if (told.type === 'connected') {
      // Of one that we lost every event counts; of the first we see those that come from now on.
      if (from === '') from = told.at;
      const { supervisor, services } = told.status;
      const facts = { type: 'connected', at: told.at, supervisor, services };
      const states = services.map(({ name, state }) => `${name} ${state}`).join(', ');
      output.line(`${told.at}  supervisor ${supervisor.pid}: ${states || supervisor.state}`, facts);
    } else if (told.type === 'lost') {
      const at = new Date().toISOString();
      output.line(`${at}  the supervisor is gone; waiting for the next one`, { type: 'lost', at });
    } else if (told.event.at >= from) {
      const line = eventLine(told.event);
      if (line === undefined && !output.session.json) continue;
      count += 1;
      output.line(`${told.event.at}  ${line}`, { ...told.event });
    }
  }
  return count;
}
