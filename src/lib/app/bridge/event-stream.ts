import type { ServerResponse } from 'node:http';

/** Bytes that may wait for a client which reads slowly; then it is cut off rather than that memory grows. */
const waitingLimit = 16 * 1024 * 1024;
const comment = ': keep-alive\n\n';

/** What has to say something from time to time lest somebody in between takes it for dead. */
export interface KeptAlive {
  /** @param now as performance.now() says */
  keepAlive(now: number): void;
}

/** One clock for all that is open: a timer for each stream would cost more than the streams. */
export class KeepAlive {
  readonly everyMs: number;
  readonly #open = new Set<KeptAlive>();
  readonly #timer: NodeJS.Timeout;

  /** @param everyMs after so long a silence a comment is sent */
  constructor(everyMs: number) {
    this.everyMs = everyMs;
    this.#timer = setInterval(() => this.#tick(), Math.max(10, everyMs / 6));
    this.#timer.unref();
  }

  add(one: KeptAlive): void {
    this.#open.add(one);
  }

  delete(one: KeptAlive): void {
    this.#open.delete(one);
  }

  close(): void {
    clearInterval(this.#timer);
  }

  #tick(): void {
    const now = performance.now();
    for (const one of this.#open) one.keepAlive(now);
  }
}

/** A response as a stream of server-sent events. */
export class EventStream {
  readonly #res: ServerResponse;
  #lastAt = performance.now();

  constructor(res: ServerResponse, headers: Readonly<Record<string, string>> = {}) {
    this.#res = res;
    res.writeHead(200, {
      'content-type': 'text/event-stream',
      'cache-control': 'no-store',
      'x-accel-buffering': 'no',
      ...headers,
    });
    res.flushHeaders();
  }

  get open(): boolean {
    return !this.#res.destroyed && !this.#res.writableEnded;
  }

  /** @param json one message, without line breaks */
  send(json: string, id?: string): void {
    this.#write(`${id === undefined ? '' : `id: ${id}\n`}event: message\ndata: ${json}\n\n`);
  }

  /** A comment, if nothing was sent for so long. */
  keepAlive(now: number, everyMs: number): void {
    if (now - this.#lastAt >= everyMs) this.#write(comment);
  }

  end(): void {
    this.#res.end();
  }

  #write(text: string): void {
    if (!this.open) return;
    this.#lastAt = performance.now();
    this.#res.write(text);
    if (this.#res.writableLength > waitingLimit) this.#res.destroy();
  }
}
