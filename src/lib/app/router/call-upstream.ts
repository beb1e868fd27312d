import type { IncomingHttpHeaders, ServerResponse } from 'node:http';
import type { Dispatcher } from 'undici';
import { TooLargeError, UpstreamFailedError } from '../../shared/errors.ts';
import type { LookOver, RunningCall, Verdict } from '../executor/call.ts';
import { mediaType } from './headers.ts';
import type { RequestId } from './jsonrpc.ts';
import type { KeepAlive, KeptStream } from './keep-alive.ts';
import { ListChangedScan } from './list-changed.ts';
import { withData } from './list-filter.ts';
import { eventData, SseSplitter } from './sse.ts';
import { toUpstreamError } from './upstream-errors.ts';
import type { Upstream } from './upstreams.ts';
import { judge, judgeFailure } from './verdict.ts';

/** The answer of a server, held back until its outcome is durable. */
export interface HeldAnswer extends Verdict {
  readonly httpStatus: number;
  readonly headers: IncomingHttpHeaders;
  /** The run of the server that it is from. */
  readonly from: Upstream | undefined;
  /** The event that the answer came as, when the server streams. */
  readonly event?: Buffer;
}

export interface CallClient {
  readonly res: ServerResponse;
  /** Sends the head of an event stream, once, before the first event. */
  beginStream(headers: IncomingHttpHeaders, from: Upstream | undefined): void;
  /** Looks after the stream while the call runs. */
  readonly keepAlive: KeepAlive;
  /** Hears of a stream that says that the server's list of tools changed. */
  readonly onListChanged?: (() => void) | undefined;
}

/** How long a server may leave its stream open after its answer before the connection is given up, in ms. */
const lingerMs = 1_000;

/**
 * A tools/call at a server. A JSON answer is taken whole; of an event stream everything before the answer (progress,
 * notifications, requests of the server) passes at once. The answer itself is judged and held.
 */
export class CallUpstream implements Dispatcher.DispatchHandler, RunningCall<HeldAnswer> {
  readonly answer: Promise<HeldAnswer>;
  /** The run of the server that the request goes to. */
  from: Upstream | undefined;
  readonly #id: RequestId;
  readonly #limit: number;
  readonly #idOf: ((number: number) => string) | undefined;
  readonly #look: LookOver | undefined;
  /** Of the server, for the events that passed. */
  readonly #eventIds: string[] = [];
  #client: CallClient;
  #leg: Leg | undefined;
  #resumed = false;
  #resolve!: (answer: HeldAnswer) => void;
  #reject!: (error: Error) => void;
  #controller: Dispatcher.DispatchController | undefined;
  #aborted: Error | undefined;
  #settled = false;
  #ended = false;
  #status = 0;
  #headers: IncomingHttpHeaders = {};
  #splitter: SseSplitter | undefined;
  #listChanged: ListChangedScan | undefined;
  #chunks: Buffer[] = [];
  #bytes = 0;
  #kept: KeptStream | undefined;

  /**
   * @param idOf what clients see instead of the server's ids of events; without it they see those, and nothing is resumed
   * @param look what passes of the messages before the answer; without it their bytes pass
   */
  constructor(id: RequestId, client: CallClient, limit: number, idOf?: (number: number) => string, look?: LookOver) {
    this.#idOf = idOf;
    this.#look = look;
    this.#id = id;
    this.#client = client;
    this.#limit = limit;
    this.answer = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  abort(reason: Error): void {
    this.#fail(reason);
  }

  /** Hears of one exchange with the server, until the call is suspended. */
  leg(): Dispatcher.DispatchHandler {
    this.#leg = new Leg(this);
    return this.#leg;
  }

  /** Whether the client may come back for the answer: the server numbers its events. */
  get resumable(): boolean {
    return !this.#settled && this.#eventIds.length > 0;
  }

  /** Lets go of the stream; the call goes on, at the server. */
  suspend(): void {
    this.#leg?.cut();
    this.#kept?.release();
    this.#kept = undefined;
    if (!this.#ended) this.#controller?.abort(new Error('The client left.'));
    this.#controller = undefined;
    this.#ended = true;
  }

  /** The server's id of an event that passed. */
  eventId(number: number): string | undefined {
    return this.#eventIds[number];
  }

  /** Goes on for a client that came back; `leg` is what hears of the exchange. */
  resume(client: CallClient): void {
    this.suspend();
    this.#client = client;
    this.#resumed = true;
    this.#ended = false;
    this.#splitter = undefined;
    this.#chunks = [];
    this.#bytes = 0;
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#aborted !== undefined) controller.abort(this.#aborted);
  }

  onResponseStart(_: Dispatcher.DispatchController, status: number, headers: IncomingHttpHeaders): void {
    // 1xx are followed by the response itself.
    if (status < 200) return;
    this.#status = status;
    this.#headers = headers;
    if (status === 200 && mediaType(headers) === 'text/event-stream') {
      this.#splitter = new SseSplitter(this.#limit);
      this.#listChanged = this.#client.onListChanged && new ListChangedScan();
    } else if (this.#resumed) {
      this.#fail(new UpstreamFailedError('The server did not take its stream up again.', { data: { status } }));
    } else if (Number(headers['content-length'] ?? 0) > this.#limit) {
      this.#fail(this.#tooLarge());
    }
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#settled) {
      // What follows the answer is for nobody; a list that changed by it is still looked at.
      if (this.#listChanged?.sees(chunk) === true) this.#client.onListChanged?.();
      return;
    }
    if (this.#splitter !== undefined) {
      this.#onStream(controller, this.#splitter, chunk);
      return;
    }
    this.#bytes += chunk.length;
    if (this.#bytes > this.#limit) this.#fail(this.#tooLarge());
    else this.#chunks.push(chunk);
  }

  onResponseEnd(): void {
    this.#ended = true;
    if (this.#settled) return;
    if (this.#splitter !== undefined && this.resumable) {
      // MCP 2025-11-25: a server may end a stream before its answer; the client comes back with Last-Event-ID.
      const { res } = this.#client;
      this.suspend();
      res.end();
      return;
    }
    if (this.#splitter !== undefined) {
      this.#fail(
        new UpstreamFailedError('The server ended its stream without an answer.', { data: { reason: 'no_answer' } }),
      );
      return;
    }
    try {
      this.#onBody(this.#chunks.length === 1 ? (this.#chunks[0] as Buffer) : Buffer.concat(this.#chunks, this.#bytes));
    } catch (error) {
      this.#fail(error as Error);
    }
  }

  onResponseError(_: Dispatcher.DispatchController, error: Error): void {
    this.#ended = true;
    if (!this.#settled) this.#fail(toUpstreamError(error));
  }

  #onBody(payload: Buffer): void {
    if (mediaType(this.#headers) !== 'application/json') {
      const status = this.#status;
      throw new UpstreamFailedError(`The server answered with status ${status} and no JSON.`, { data: { status } });
    }
    const text = payload.toString('utf8');
    if (this.#status === 200) {
      const judged = judge(text, this.#id);
      if (judged.kind !== 'answer')
        throw new UpstreamFailedError('The server sent a request where its answer was due.');
      this.#settle({ ...judged.verdict, payload, httpStatus: 200, headers: this.#headers, from: this.from });
      return;
    }
    // 401 and 403 would be about the router's own identity: no affair of the client, and no challenge for it.
    if (this.#status < 400 || this.#status >= 500 || this.#status === 401 || this.#status === 403) {
      const status = this.#status;
      throw new UpstreamFailedError(`The server answered with status ${status}.`, { data: { status } });
    }
    const verdict = judgeFailure(text, this.#id);
    this.#settle({ ...verdict, payload, httpStatus: this.#status, headers: this.#headers, from: this.from });
  }

  #onStream(controller: Dispatcher.DispatchController, splitter: SseSplitter, chunk: Buffer): void {
    if (this.#listChanged?.sees(chunk) === true) this.#client.onListChanged?.();
    try {
      for (const event of splitter.push(chunk)) {
        this.#onEvent(controller, event);
        // What follows the answer is dropped: a call has one.
        if (this.#settled) return;
      }
    } catch (error) {
      this.#fail(error instanceof RangeError ? this.#tooLarge() : (error as Error));
    }
  }

  #onEvent(controller: Dispatcher.DispatchController, received: Buffer): void {
    const data = eventData(received);
    const event = this.#idOf === undefined ? received : this.#renamed(received, this.#idOf);
    // A comment or a priming event has no data.
    const judged = data === '' ? undefined : judge(data, this.#id);
    if (judged?.kind === 'answer') {
      const payload = Buffer.from(data);
      this.#settle({ ...judged.verdict, payload, httpStatus: 200, headers: this.#headers, event, from: this.from });
      if (!this.#ended) setTimeout(() => this.#letGo(), lingerMs).unref();
      return;
    }
    if (judged?.kind === 'hidden') return;
    const looked = this.#look === undefined || data === '' ? data : this.#look(data);
    const passing = looked === data ? event : withData(event, looked);
    const { res } = this.#client;
    if (res.destroyed) return;
    this.#client.beginStream(this.#headers, this.from);
    this.#kept ??= this.#client.keepAlive.open(res);
    this.#kept.passed(passing);
    if (!res.write(passing)) {
      controller.pause();
      res.once('drain', () => controller.resume());
    }
  }

  /** The event with an id of ours; from that of the server another stream could be taken up, past the audit. */
  #renamed(event: Buffer, idOf: (number: number) => string): Buffer {
    const text = event.toString('utf8');
    const found = /(?:^|[\r\n])id: ?([^\r\n]*)/.exec(text);
    if (found === null) return event;
    const at = found.index + found[0].length - (found[1]?.length ?? 0);
    const end = found.index + found[0].length;
    const number = this.#eventIds.push(found[1] ?? '') - 1;
    return Buffer.from(`${text.slice(0, at)}${idOf(number)}${text.slice(end)}`);
  }

  #settle(answer: HeldAnswer): void {
    this.#settled = true;
    this.#kept?.release();
    this.#resolve(answer);
  }

  #fail(error: Error): void {
    if (this.#settled) return;
    this.#settled = true;
    this.#kept?.release();
    this.#aborted = error;
    this.#chunks = [];
    this.#reject(error);
    this.#letGo();
  }

  /** Gives the connection up, unless the exchange on it is complete. */
  #letGo(): void {
    if (!this.#ended) this.#controller?.abort(this.#aborted ?? new Error('The stream went on after its answer.'));
  }

  #tooLarge(): TooLargeError {
    return new TooLargeError(`The answer is larger than ${this.#limit} bytes.`, { data: { limit: this.#limit } });
  }
}

/** One exchange with the server: what comes after it was given up is nobody's. */
class Leg implements Dispatcher.DispatchHandler {
  #call: CallUpstream | undefined;

  constructor(call: CallUpstream) {
    this.#call = call;
  }

  cut(): void {
    this.#call = undefined;
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    if (this.#call === undefined) controller.abort(new Error('The client left.'));
    else this.#call.onRequestStart(controller);
  }

  onResponseStart(...args: Parameters<CallUpstream['onResponseStart']>): void {
    this.#call?.onResponseStart(...args);
  }

  onResponseData(...args: Parameters<CallUpstream['onResponseData']>): void {
    this.#call?.onResponseData(...args);
  }

  onResponseEnd(): void {
    this.#call?.onResponseEnd();
  }

  onResponseError(...args: Parameters<CallUpstream['onResponseError']>): void {
    this.#call?.onResponseError(...args);
  }
}
