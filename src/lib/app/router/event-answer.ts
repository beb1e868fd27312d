import { EventEmitter } from 'node:events';
import type { OutgoingHttpHeaders, ServerResponse } from 'node:http';
import { isRecord, type RequestId } from './jsonrpc.ts';
import { eventData, SseSplitter } from './sse.ts';

/** Where the answers of many requests go, one event each. */
export interface EventSink {
  readonly res: ServerResponse;
  /** Sends one message. @returns false when no more should come for now */
  send(json: string): boolean;
}

/** Longest event of a server that passes, in bytes. */
const maxEvent = 10 * 1024 * 1024;

/**
 * Takes an answer of Streamable HTTP (one JSON body, or a stream of events) and sends each of its messages as an event of
 * the one stream that an old client listens on. To whoever answers it is a response like another; as much of it as the
 * router uses is there.
 */
export class EventAnswer extends EventEmitter {
  headersSent = false;
  writableEnded = false;
  destroyed = false;
  statusCode = 200;
  readonly #sink: EventSink;
  readonly #id: RequestId | null;
  readonly #onHead: ((status: number, headers: OutgoingHttpHeaders) => void) | undefined;
  readonly #onDrain = () => this.emit('drain');
  #splitter: SseSplitter | undefined;
  #chunks: Buffer[] = [];

  /** @param id of the request that is answered; null when nobody waits for an answer */
  constructor(sink: EventSink, id: RequestId | null, onHead?: (status: number, headers: OutgoingHttpHeaders) => void) {
    super();
    this.#sink = sink;
    this.#id = id;
    this.#onHead = onHead;
    sink.res.on('drain', this.#onDrain);
  }

  /** This, to those who answer. */
  get response(): ServerResponse {
    return this as unknown as ServerResponse;
  }

  get writableNeedDrain(): boolean {
    return this.#sink.res.writableNeedDrain;
  }

  setHeader(): this {
    return this;
  }

  flushHeaders(): void {}

  writeHead(status: number, headers: OutgoingHttpHeaders = {}): this {
    this.headersSent = true;
    this.statusCode = status;
    if (headers['content-type'] === 'text/event-stream') this.#splitter = new SseSplitter(maxEvent);
    this.#onHead?.(status, headers);
    return this;
  }

  write(chunk: string | Buffer): boolean {
    const bytes = typeof chunk === 'string' ? Buffer.from(chunk) : chunk;
    if (this.#splitter === undefined) {
      this.#chunks.push(bytes);
      return true;
    }
    let more = true;
    try {
      for (const event of this.#splitter.push(bytes)) {
        const data = eventData(event);
        if (data !== '') more = this.#sink.send(data) && more;
      }
    } catch {
      this.destroy(); // larger than what passes: whoever waits hears that there is no answer
    }
    return more;
  }

  end(chunk?: string | Buffer): this {
    if (this.writableEnded || this.destroyed) return this;
    if (chunk !== undefined) this.write(chunk);
    this.writableEnded = true;
    if (this.#splitter === undefined) this.#sendBody(Buffer.concat(this.#chunks).toString('utf8'));
    this.#over();
    return this;
  }

  /** The listener has left, or the answer broke off: whoever waits for it hears so, if somebody listens. */
  destroy(): this {
    if (this.destroyed || this.writableEnded) return this;
    this.destroyed = true;
    if (this.#id !== null && !this.#sink.res.destroyed) this.#sink.send(failure(this.#id, 'The answer broke off.'));
    this.#over();
    return this;
  }

  #over(): void {
    this.#sink.res.off('drain', this.#onDrain);
    this.emit('close');
  }

  /** A body is an event when it answers the request; an error without an id is given that of the request. */
  #sendBody(text: string): void {
    if (this.#id === null) return;
    let message: unknown;
    try {
      message = JSON.parse(text);
    } catch {
      message = undefined;
    }
    if (isRecord(message) && message['id'] === this.#id) this.#sink.send(text);
    else if (isRecord(message) && isRecord(message['error'])) {
      this.#sink.send(JSON.stringify({ ...message, id: this.#id }));
    } else this.#sink.send(failure(this.#id, `The server answered with status ${this.statusCode} and no message.`));
  }
}

function failure(id: RequestId, message: string): string {
  return JSON.stringify({ jsonrpc: '2.0', id, error: { code: -32_000, message, data: { code: 'UPSTREAM_FAILED' } } });
}
