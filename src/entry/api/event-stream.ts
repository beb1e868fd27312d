import type { ServerResponse } from 'node:http';
import { heartbeat, heartbeatMs } from '../../lib/shared/sse.ts';

/** A reader who takes nothing for that long is cut off, in ms; it may come back with Last-Event-ID. */
const stallMs = 30_000;
/** How long a reader is to wait before it comes back, in ms. */
const retryMs = 2000;

export interface EventStreamOptions {
  /** Looked at before each heartbeat; what it throws ends the stream. */
  readonly stillAllowed: () => Promise<unknown>;
  readonly heartbeatMs?: number;
}

/** An answer of server-sent events. At most one write is under way: who reads slowly is waited for, not buffered for. */
export class EventStream {
  readonly #response: ServerResponse;
  readonly #gone = new AbortController();
  readonly #beat: NodeJS.Timeout;

  /** Sends the head. @param headers those that every answer has */
  constructor(
    response: ServerResponse,
    headers: Readonly<Record<string, number | string | string[] | undefined>>,
    options: EventStreamOptions,
  ) {
    this.#response = response;
    response.once('close', () => this.#gone.abort());
    // Who left while it was prepared is told of no more.
    if (response.closed || response.destroyed) this.#gone.abort();
    for (const [name, value] of Object.entries(headers)) if (value !== undefined) response.setHeader(name, value);
    response.writeHead(200, {
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-store',
      // nginx would keep the events until its buffer is full.
      'x-accel-buffering': 'no',
    });
    response.write(`retry: ${retryMs}\n\n`);
    this.#beat = setInterval(() => void this.#heartbeat(options), options.heartbeatMs ?? heartbeatMs);
  }

  /** Aborted when the reader has left, has stalled, or may not listen any more. */
  get signal(): AbortSignal {
    return this.#gone.signal;
  }

  /** Resolves when the reader can take more, or has gone. */
  async write(text: string): Promise<void> {
    if (this.#gone.signal.aborted || this.#response.write(text)) return;
    await new Promise<void>((resolve) => {
      const stalled = setTimeout(() => this.#response.destroy(), stallMs);
      const done = (): void => {
        clearTimeout(stalled);
        this.#response.off('drain', done);
        this.#gone.signal.removeEventListener('abort', done);
        resolve();
      };
      this.#response.once('drain', done);
      this.#gone.signal.addEventListener('abort', done, { once: true });
    });
  }

  end(): void {
    clearInterval(this.#beat);
    this.#response.end();
  }

  async #heartbeat({ stillAllowed }: EventStreamOptions): Promise<void> {
    try {
      await stillAllowed();
    } catch {
      // The sign-in has ended: the reader comes back, and is told so by the answer that it gets then.
      this.#gone.abort();
      return;
    }
    if (!this.#response.writableNeedDrain) this.#response.write(heartbeat);
  }
}
