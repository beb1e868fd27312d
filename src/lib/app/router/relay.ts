import type { IncomingHttpHeaders, ServerResponse } from 'node:http';
import type { Dispatcher } from 'undici';
import {
  type AppError,
  CancelledError,
  TimeoutError,
  TooLargeError,
  toAppError,
  UpstreamFailedError,
} from '../../shared/errors.ts';
import { mediaType } from './headers.ts';
import type { KeepAlive, KeptStream } from './keep-alive.ts';
import { ListChangedScan } from './list-changed.ts';
import { SseSplitter } from './sse.ts';
import { toUpstreamError } from './upstream-errors.ts';

/** Longest event that passes where events are looked at, in bytes. */
const maxEvent = 10 * 1024 * 1024;

export interface RelayOptions {
  readonly res: ServerResponse;
  /** Response headers for the client, from the server's. */
  readonly headers: (headers: IncomingHttpHeaders) => Record<string, string>;
  /** How long an answer that is no stream may take, in ms. */
  readonly timeoutMs: number;
  /** Looks after the answer when it is a stream. */
  readonly keepAlive: KeepAlive;
  /** Called when an answer begins: the error says that it is none. */
  readonly onAnswer?: (status: number) => void;
  /** Called when a stream begins, with what ends it; gives back what is to be called when it has ended. */
  readonly onStream?: (stop: () => void) => () => void;
  /** Called when a stream was quiet for long: throws when nobody may listen any more. */
  readonly stillAllowed?: (() => Promise<unknown>) | undefined;
  /** Which events of a stream pass; all of them unless told. @throws never */
  readonly passes?: (event: Buffer) => boolean;
  /** Hears of a stream that says that the server's list of tools changed. */
  readonly onListChanged?: (() => void) | undefined;
  /** Hears once what became of the request at the server: an error when it did not answer. */
  readonly onOutcome?: (error?: AppError) => void;
  /** Answers for a server that did not. */
  readonly onError: (error: AppError) => void;
}

/** Anything but a tools/call: the answer's bytes pass as they come, no faster than the client takes them. */
export class Relay implements Dispatcher.DispatchHandler {
  /** Settles when the exchange is over, however it ended. */
  readonly done: Promise<void>;
  readonly #options: RelayOptions;
  readonly #timer: NodeJS.Timeout;
  #finish!: () => void;
  #controller: Dispatcher.DispatchController | undefined;
  #reason: AppError | undefined;
  #ended = false;
  #kept: KeptStream | undefined;
  #release: (() => void) | undefined;
  #told = false;
  #splitter: SseSplitter | undefined;
  #listChanged: ListChangedScan | undefined;

  constructor(options: RelayOptions) {
    this.#options = options;
    this.done = new Promise((resolve) => {
      this.#finish = resolve;
    });
    this.#timer = setTimeout(() => {
      this.abort(new TimeoutError(`The server did not answer within ${options.timeoutMs} ms.`));
    }, options.timeoutMs);
    options.res.once('close', () => {
      if (!this.#ended) this.abort(new CancelledError('The client left.'));
    });
  }

  /** Breaks the exchange off on both sides. */
  abort(reason: AppError): void {
    if (this.#ended || this.#reason !== undefined) return;
    this.#reason = reason;
    this.#end();
    this.#controller?.abort(reason);
  }

  /** Ends a stream as if the server had, and any other exchange with an error. */
  stop(reason: AppError): void {
    const { res } = this.#options;
    if (!this.#ended && res.headersSent) res.end();
    this.abort(reason);
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#reason !== undefined) controller.abort(this.#reason);
  }

  onResponseStart(_: Dispatcher.DispatchController, status: number, headers: IncomingHttpHeaders): void {
    if (status < 200 || this.#ended) return;
    const { res } = this.#options;
    const type = headers['content-type'];
    // A stream lasts as long as both sides want.
    const streams = mediaType(headers) === 'text/event-stream';
    if (streams) clearTimeout(this.#timer);
    if (streams && this.#options.onListChanged !== undefined) this.#listChanged = new ListChangedScan();
    if (streams && this.#options.passes !== undefined) this.#splitter = new SseSplitter(maxEvent);
    // 401 and 403 would be about the router's own identity: no affair of the client, and no challenge for it.
    if (status >= 500 || status === 401 || status === 403 || (status >= 300 && status < 400)) {
      this.abort(new UpstreamFailedError(`The server answered with status ${status}.`, { data: { status } }));
      return;
    }
    this.#tell();
    this.#options.onAnswer?.(status);
    const length = headers['content-length'];
    res.writeHead(status, {
      ...(typeof type === 'string' ? { 'content-type': type } : {}),
      ...(typeof length === 'string' ? { 'content-length': length } : {}),
      'cache-control': 'no-store',
      ...this.#options.headers(headers),
    });
    res.flushHeaders();
    if (!streams) return;
    this.#kept = this.#options.keepAlive.open(res, () => void this.#look());
    this.#release = this.#options.onStream?.(() => this.stop(new CancelledError('The session has ended.')));
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    const { res } = this.#options;
    if (this.#ended || res.destroyed) return;
    if (this.#listChanged?.sees(chunk) === true) this.#options.onListChanged?.();
    const passing = this.#splitter === undefined ? chunk : this.#passing(this.#splitter, chunk);
    if (passing.length === 0) return;
    this.#kept?.passed(passing);
    if (!res.write(passing)) {
      controller.pause();
      res.once('drain', () => controller.resume());
    }
  }

  /** Of what came the whole events that may pass. */
  #passing(splitter: SseSplitter, chunk: Buffer): Buffer {
    const { passes } = this.#options;
    try {
      const events = splitter.push(chunk).filter((event) => passes?.(event) ?? true);
      return events.length === 1 ? (events[0] as Buffer) : Buffer.concat(events);
    } catch {
      this.abort(new TooLargeError(`An event of the server is larger than ${maxEvent} bytes.`));
      return Buffer.alloc(0);
    }
  }

  onResponseEnd(): void {
    if (this.#ended) return;
    this.#options.res.end();
    this.#end();
  }

  onResponseError(_: Dispatcher.DispatchController, error: Error): void {
    if (this.#ended) return;
    this.#reason = toUpstreamError(error);
    this.#end();
  }

  #tell(error?: AppError): void {
    if (this.#told) return;
    this.#told = true;
    this.#options.onOutcome?.(error);
  }

  /** A stream may last longer than the sign-in that opened it: who lost it comes back, and is told so by the answer. */
  async #look(): Promise<void> {
    try {
      await this.#options.stillAllowed?.();
    } catch (thrown) {
      const error = toAppError(thrown);
      if (error.code === 'UNAUTHENTICATED' || error.code === 'FORBIDDEN') this.stop(error);
    }
  }

  #end(): void {
    this.#ended = true;
    clearTimeout(this.#timer);
    this.#kept?.release();
    this.#release?.();
    this.#tell(this.#reason);
    const { res, onError } = this.#options;
    if (this.#reason !== undefined && !res.destroyed) {
      // A body that breaks off must look broken: cut the connection rather than end the body as if it were whole.
      if (res.headersSent && !res.writableEnded) res.destroy();
      else if (!res.headersSent) onError(this.#reason);
    }
    this.#finish();
  }
}
