import type { Dispatcher } from 'undici';

/** Called with the error of a request of which no byte was sent; `true` when somebody else takes care of the request. */
export type Unsent = (error: Error) => boolean;

/**
 * Passes everything on to the handler of a request, but for the failure of one that never left: undici announces the start
 * of a request before it writes its first byte, so without a start nothing of it can have arrived anywhere.
 */
export class Sending implements Dispatcher.DispatchHandler {
  readonly #handler: Dispatcher.DispatchHandler;
  readonly #unsent: Unsent;
  #started = false;

  constructor(handler: Dispatcher.DispatchHandler, unsent: Unsent) {
    this.#handler = handler;
    this.#unsent = unsent;
  }

  onRequestStart(controller: Dispatcher.DispatchController, context: object): void {
    this.#started = true;
    this.#handler.onRequestStart?.(controller, context);
  }

  onResponseStart(...args: Parameters<NonNullable<Dispatcher.DispatchHandler['onResponseStart']>>): void {
    this.#handler.onResponseStart?.(...args);
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#handler.onResponseData?.(controller, chunk);
  }

  onResponseEnd(...args: Parameters<NonNullable<Dispatcher.DispatchHandler['onResponseEnd']>>): void {
    this.#handler.onResponseEnd?.(...args);
  }

  onResponseError(controller: Dispatcher.DispatchController, error: Error): void {
    if (!this.#started && this.#unsent(error)) return;
    this.#handler.onResponseError?.(controller, error);
  }
}
