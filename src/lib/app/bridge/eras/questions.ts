import type { Asker } from '../backend.ts';
import { JsonRpcMessage } from '../message.ts';
import type { Question } from './asking.ts';
import type { Json } from './json.ts';

/** How long a person may take to answer, in ms. */
const patienceMs = 10 * 60_000;

export interface Asked extends Question {
  /** What the server knows the question by. */
  readonly key: string;
  /** What the client knows it by. */
  readonly id: string;
}

export interface Asking {
  readonly send: (question: JsonRpcMessage) => void;
  /** All of them are answered, by the server's keys. */
  readonly answered: (answers: Json) => void;
  /** One will not be. */
  readonly failed: (message: string) => void;
}

interface Round {
  readonly user: string;
  readonly session: string | undefined;
  readonly hear: (id: string, response: JsonRpcMessage) => void;
}

/** The questions that legacy clients have been asked and not answered: only who was asked can answer. */
export class Questions {
  readonly #open = new Map<string, Round>();

  get size(): number {
    return this.#open.size;
  }

  ask(asked: readonly Asked[], asker: Asker, asking: Asking): { cancel(): void } {
    const keys = new Map(asked.map(({ id, key }) => [id, key]));
    const answers: Record<string, unknown> = {};
    const stop = () => {
      clearTimeout(timer);
      for (const { id } of asked) this.#open.delete(id);
    };
    const fail = (message: string) => {
      stop();
      asking.failed(message);
    };
    const timer = setTimeout(() => fail('The client did not answer what the server asked.'), patienceMs);
    timer.unref();
    const hear = (id: string, response: JsonRpcMessage) => {
      const { result, error } = response.value as { result?: Json; error?: { message?: unknown } };
      if (result === undefined) return fail(`The client could not answer the server: ${String(error?.message)}`);
      answers[keys.get(id) ?? ''] = result;
      this.#open.delete(id);
      if (Object.keys(answers).length < asked.length) return;
      stop();
      asking.answered(answers);
    };
    for (const { id } of asked) this.#open.set(id, { user: asker.identity.sub, session: asker.session, hear });
    for (const { id, method, params } of asked) asking.send(JsonRpcMessage.request(id, method, params));
    return { cancel: stop };
  }

  /** A client's answer; one that nobody waits for, or of somebody else, is dropped. */
  hear(response: JsonRpcMessage, asker: Asker): void {
    const { id } = response;
    const round = typeof id === 'string' ? this.#open.get(id) : undefined;
    if (round === undefined || round.user !== asker.identity.sub || round.session !== asker.session) return;
    round.hear(id as string, response);
  }
}
