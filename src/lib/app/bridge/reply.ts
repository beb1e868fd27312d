import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Hearer, PendingRequest } from './backend.ts';
import { type EventLog, type EventPlace, eventId } from './event-log.ts';
import { EventStream, type KeepAlive, type KeptAlive } from './event-stream.ts';
import type { JsonRpcMessage } from './message.ts';

export interface ReplyOptions {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  readonly keepAlive: KeepAlive;
  /** In a session, where a client may come back for what it missed. */
  readonly resumable?: { readonly stream: number; readonly log: EventLog } | undefined;
  /** Hears a request of the server to the client; @returns whether the client may be asked */
  readonly onQuestion: (question: JsonRpcMessage) => boolean;
  /** Once, when nothing more comes. */
  readonly onEnd: (reply: Reply) => void;
  readonly headers?: Readonly<Record<string, string>>;
  /** Of an answer that is all there is; 200 unless told. */
  readonly statusOf?: (answer: JsonRpcMessage) => number;
}

/** How long a client whose stream broke may take to come back for it, in ms. */
const resumeMs = 10_000;

/**
 * The response to one POST: plain JSON when nothing comes before the answer, else a stream of events. A client that leaves
 * takes its request with it, unless its stream had begun and may be resumed: then it has a moment to come back.
 */
export class Reply implements Hearer, KeptAlive {
  readonly #options: ReplyOptions;
  readonly #since = performance.now();
  readonly #takesEvents: boolean;
  #res: ServerResponse;
  #stream: EventStream | undefined;
  #pending: PendingRequest | undefined;
  #over = false;
  #giveUp: NodeJS.Timeout | undefined;

  constructor(options: ReplyOptions) {
    this.#options = options;
    this.#res = options.res;
    const { accept } = options.req.headers;
    this.#takesEvents = accept === undefined || accept.includes('text/event-stream') || accept.includes('*/*');
    options.res.once('close', () => this.#onClose(options.res));
    options.keepAlive.add(this);
  }

  get streamNumber(): number | undefined {
    return this.#options.resumable?.stream;
  }

  get over(): boolean {
    return this.#over;
  }

  /** Whose answer it is. An answer may have come already, when the request could not be sent. */
  await(pending: PendingRequest): void {
    this.#pending = pending;
    if (this.#over) return;
    if (this.#res.destroyed) this.#onClose(this.#res);
  }

  onMessage(message: JsonRpcMessage): void {
    if (this.#over) return;
    if (message.kind === 'request' && !(this.#takesEvents && this.#options.onQuestion(message))) return;
    if (this.#takesEvents) this.#send(message);
  }

  onAnswer(answer: JsonRpcMessage): void {
    if (this.#over) return;
    if (this.#stream !== undefined) {
      this.#send(answer);
      this.#stream.end();
    } else {
      sendJson(this.#res, answer.text, this.#options.headers, this.#options.statusOf?.(answer));
    }
    this.#end();
  }

  /** A cancellation by its client: nothing is answered (MCP 2025-11-25, cancellation). */
  cancel(reason: string | undefined): void {
    if (this.#over) return;
    this.#pending?.cancel(reason);
    if (this.#stream !== undefined) this.#stream.end();
    else if (!this.#res.headersSent) this.#res.writeHead(202).end();
    this.#end();
  }

  /** Goes on with another response, after what came since an event. */
  resume(res: ServerResponse, place: EventPlace): void {
    clearTimeout(this.#giveUp);
    const old = this.#res;
    this.#res = res;
    this.#stream = new EventStream(res);
    res.once('close', () => this.#onClose(res));
    if (!old.writableEnded) old.destroy();
    for (const event of this.#options.resumable?.log.after(place) ?? []) this.#stream.send(event.text, eventId(event));
  }

  keepAlive(now: number): void {
    const { everyMs } = this.#options.keepAlive;
    if (this.#stream !== undefined) this.#stream.keepAlive(now, everyMs);
    else if (this.#takesEvents && now - this.#since >= everyMs) {
      this.#begin().keepAlive(Number.POSITIVE_INFINITY, everyMs);
    }
  }

  #begin(): EventStream {
    this.#stream ??= new EventStream(this.#res, this.#options.headers);
    return this.#stream;
  }

  #send(message: JsonRpcMessage): void {
    const { resumable } = this.#options;
    const text = message.line;
    const id = resumable === undefined ? undefined : eventId(resumable.log.add(resumable.stream, text));
    this.#begin().send(text, id);
  }

  #onClose(res: ServerResponse): void {
    if (this.#over || res !== this.#res) return;
    if (this.#stream !== undefined && this.#options.resumable !== undefined) {
      this.#giveUp = setTimeout(() => this.#abandon(), resumeMs);
      this.#giveUp.unref();
    } else this.#abandon();
  }

  #abandon(): void {
    if (this.#over) return;
    this.#pending?.cancel('The client left.');
    this.#end();
  }

  #end(): void {
    this.#over = true;
    clearTimeout(this.#giveUp);
    this.#options.keepAlive.delete(this);
    this.#options.onEnd(this);
  }
}

/** One message as a whole response. */
export function sendJson(
  res: ServerResponse,
  text: string,
  headers: Readonly<Record<string, string>> = {},
  status = 200,
): void {
  if (res.destroyed || res.headersSent) return;
  res.writeHead(status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(text),
    'cache-control': 'no-store',
    ...headers,
  });
  res.end(text);
}
