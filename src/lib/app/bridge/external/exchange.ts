import type { IncomingHttpHeaders } from 'node:http';
import type { Dispatcher } from 'undici';
import { type AppError, TooLargeError, UpstreamFailedError } from '../../../shared/errors.ts';
import { mediaType } from '../../router/headers.ts';
import { eventData, SseSplitter } from '../../router/sse.ts';
import { JsonRpcMessage } from '../message.ts';
import { refusedBy, unreached } from './failures.ts';

/** What comes of one exchange with a server elsewhere. */
export interface ExchangeListener {
  /** The response has begun. @returns why it is not taken, if it is not */
  onHead?(status: number, headers: IncomingHttpHeaders): AppError | undefined;
  onMessage(message: JsonRpcMessage): void;
  /** An event that its sender may be asked to go on after. */
  onEventId?(id: string): void;
  /** Once: the response is complete, or why it is not. @param stream whether it was a stream */
  onEnd(failure: AppError | undefined, stream: boolean): void;
}

/** One request to a server elsewhere whose response is read message by message, JSON or a stream of events. */
export class Exchange implements Dispatcher.DispatchHandler {
  readonly #listener: ExchangeListener;
  readonly #limit: number;
  #controller: Dispatcher.DispatchController | undefined;
  #splitter: SseSplitter | undefined;
  #chunks: Buffer[] | undefined;
  #bytes = 0;
  #status = 0;
  #over = false;

  /** @param limit most bytes of one message */
  constructor(listener: ExchangeListener, limit: number) {
    this.#listener = listener;
    this.#limit = limit;
  }

  /** Nothing more is wanted; nothing more is heard. */
  abort(): void {
    if (this.#over) return;
    this.#over = true;
    this.#controller?.abort(new Error('Nobody waits for it any more.'));
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#over) controller.abort(new Error('Nobody waits for it any more.'));
  }

  onResponseStart(_: Dispatcher.DispatchController, status: number, headers: IncomingHttpHeaders): void {
    // 1xx are followed by the response itself.
    if (status < 200 || this.#over) return;
    const refusal = this.#listener.onHead?.(status, headers);
    if (refusal !== undefined) this.#fail(refusal);
    else this.#read(status, headers);
  }

  #read(status: number, headers: IncomingHttpHeaders): void {
    this.#status = status;
    const type = mediaType(headers);
    if (type === 'text/event-stream' && status === 200) this.#splitter = new SseSplitter(this.#limit);
    else if (type === 'application/json' && speaks(status)) this.#chunks = [];
    else if (status >= 300) this.#fail(refusedBy(status, text(headers['retry-after'])));
    else if (status === 200 && headers['content-length'] !== '0')
      this.#fail(garbage('neither JSON nor a stream of events'));
  }

  onResponseData(_: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#over) return;
    try {
      if (this.#splitter !== undefined) {
        for (const event of this.#splitter.push(chunk)) this.#event(event);
        return;
      }
    } catch {
      // The only thing that it throws.
      this.#fail(this.#tooLarge());
      return;
    }
    this.#bytes += chunk.length;
    if (this.#bytes > this.#limit) this.#fail(this.#tooLarge());
    else this.#chunks?.push(chunk);
  }

  onResponseEnd(): void {
    if (this.#over) return;
    if (this.#chunks !== undefined && this.#bytes > 0) {
      const message = JsonRpcMessage.parse(Buffer.concat(this.#chunks).toString('utf8'));
      if (message !== undefined) this.#listener.onMessage(message);
      else this.#end(this.#status < 300 ? garbage('what is no JSON-RPC message') : refusedBy(this.#status));
    }
    if (!this.#over) this.#end(undefined);
  }

  onResponseError(_: Dispatcher.DispatchController, error: Error): void {
    if (!this.#over) this.#end(unreached(error));
  }

  #event(event: Buffer): void {
    if (this.#over) return;
    const id = idOf(event);
    if (id !== undefined) this.#listener.onEventId?.(id);
    const data = eventData(event);
    // A comment or a priming event has no data.
    if (data === '') return;
    const message = JsonRpcMessage.parse(data);
    if (message !== undefined) this.#listener.onMessage(message);
  }

  #fail(error: AppError): void {
    if (this.#over) return;
    this.#end(error);
    this.#controller?.abort(error);
  }

  #end(error: AppError | undefined): void {
    this.#over = true;
    this.#listener.onEnd(error, this.#splitter !== undefined);
  }

  #tooLarge(): TooLargeError {
    return new TooLargeError(`The server elsewhere sent more than ${this.#limit} bytes.`, {
      data: { limit: this.#limit },
    });
  }
}

/** Whether a response of this status can be a word of the protocol: whoever stands before the server says the others. */
function speaks(status: number): boolean {
  return status < 300 || (status >= 400 && status < 500 && status !== 401 && status !== 403);
}

function idOf(event: Buffer): string | undefined {
  const found = /(?:^|[\r\n])id: ?([^\r\n\0]*)/.exec(event.toString('utf8'));
  return found === null ? undefined : found[1];
}

function garbage(what: string): UpstreamFailedError {
  return new UpstreamFailedError(`The server elsewhere sent ${what}.`, {
    hint: 'That server is at fault, or its endpoint is another.',
  });
}

function text(value: string | string[] | undefined): string | undefined {
  return typeof value === 'string' ? value : undefined;
}
