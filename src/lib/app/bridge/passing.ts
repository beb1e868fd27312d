import type { IncomingHttpHeaders, ServerResponse } from 'node:http';
import type { Dispatcher } from 'undici';

/** A response that passes as bytes, no faster than the client takes them. */
export class Passing implements Dispatcher.DispatchHandler {
  /** Settles when the exchange is over, however it ended. */
  readonly done: Promise<void>;
  readonly #res: ServerResponse;
  readonly #onError: (error: Error) => void;
  #finish!: () => void;
  #controller: Dispatcher.DispatchController | undefined;
  #over = false;

  /** @param onError answers for a server that did not begin to; what breaks off later is cut off */
  constructor(res: ServerResponse, onError: (error: Error) => void) {
    this.#res = res;
    this.#onError = onError;
    this.done = new Promise((resolve) => {
      this.#finish = resolve;
    });
    res.once('close', () => {
      if (this.#over) return;
      this.#end();
      this.#controller?.abort(new Error('The client left.'));
    });
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#over) controller.abort(new Error('The client left.'));
  }

  onResponseStart(_: Dispatcher.DispatchController, status: number, headers: IncomingHttpHeaders): void {
    // 1xx are followed by the response itself.
    if (status < 200 || this.#over) return;
    this.#res.writeHead(status, { 'cache-control': 'no-store', ...passed(headers) });
    this.#res.flushHeaders();
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#over || this.#res.write(chunk)) return;
    controller.pause();
    this.#res.once('drain', () => controller.resume());
  }

  onResponseEnd(): void {
    if (this.#over) return;
    this.#end();
    this.#res.end();
  }

  onResponseError(_: Dispatcher.DispatchController, error: Error): void {
    if (this.#over) return;
    this.#end();
    // A body that breaks off must look broken.
    if (this.#res.headersSent) this.#res.destroy();
    else this.#onError(error);
  }

  #end(): void {
    this.#over = true;
    this.#finish();
  }
}

const names: ReadonlySet<string> = new Set(['content-type', 'content-length', 'allow', 'retry-after']);

function passed(headers: IncomingHttpHeaders): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).filter(
      (entry): entry is [string, string] =>
        typeof entry[1] === 'string' && (names.has(entry[0]) || entry[0].startsWith('mcp-')),
    ),
  );
}
