import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { CancelledError, TimeoutError } from '../../shared/errors.ts';
import { html } from './html.ts';

const path = '/callback';
const host = '127.0.0.1';

/** What the browser is told in the end. */
interface Outcome {
  readonly ok: boolean;
  readonly text: string;
}

/**
 * Where a browser brings the answer of an authorization server to a command (RFC 8252 section 7.3): on a free port of
 * 127.0.0.1, for one request. Whatever else comes is refused and decides nothing. Dispose of it to close the port.
 */
export class LoopbackCallback implements AsyncDisposable {
  readonly redirectUri: string;
  readonly #server: Server;
  readonly #origin: string;
  #take: ((url: URL) => Promise<Outcome>) | undefined;

  private constructor(server: Server) {
    this.#server = server;
    const { port } = server.address() as AddressInfo;
    this.#origin = `http://${host}:${port}`;
    this.redirectUri = `${this.#origin}${path}`;
    server.on('request', (request, response) => {
      this.#handle(request, response).catch(() => response.destroy());
    });
  }

  static listen(): Promise<LoopbackCallback> {
    const server = createServer({ requestTimeout: 10_000, headersTimeout: 10_000, maxHeaderSize: 16_384 });
    return new Promise((done, fail) => {
      server.once('error', fail);
      server.listen(0, host, () => done(new LoopbackCallback(server)));
    });
  }

  /**
   * Waits for the one request and has it decided; the browser waits meanwhile, and is told the outcome.
   * @param decide with the address that the browser was sent to; what it throws is thrown here
   * @throws TimeoutError when none comes in time; CancelledError when the signal is aborted
   */
  async answer<T>(
    decide: (url: URL) => Promise<T>,
    { timeoutMs, signal }: { readonly timeoutMs: number; readonly signal: AbortSignal },
  ): Promise<T> {
    const late = AbortSignal.timeout(timeoutMs);
    const ended = AbortSignal.any([late, signal]);
    return await new Promise<T>((done, fail) => {
      const onEnd = (): void =>
        fail(
          signal.aborted
            ? new CancelledError('Interrupted')
            : new TimeoutError(`Nobody signed in with the browser in ${Math.round(timeoutMs / 60_000)} minutes`, {
                next: ['cloud auth login --help'],
              }),
        );
      if (ended.aborted) return onEnd();
      ended.addEventListener('abort', onEnd, { once: true });
      this.#take = async (url) => {
        ended.removeEventListener('abort', onEnd);
        try {
          const value = await decide(url);
          // Not before the browser has its page: the port is closed then.
          setImmediate(() => done(value));
          return { ok: true, text: 'You are signed in. You can close this window.' };
        } catch (error) {
          setImmediate(() => fail(error as Error));
          return { ok: false, text: 'You are not signed in. The terminal says why.' };
        }
      };
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise<void>((done) => this.#server.close(() => done()));
    this.#server.closeIdleConnections();
    const patience = setTimeout(() => this.#server.closeAllConnections(), 1000);
    await closed;
    clearTimeout(patience);
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const take = this.#take;
    const url = URL.canParse(request.url ?? '', this.#origin) ? new URL(request.url ?? '', this.#origin) : undefined;
    // A page whose name was pointed at this machine names itself as the host (DNS rebinding).
    const ours = request.method === 'GET' && `http://${request.headers.host}` === this.#origin;
    if (take === undefined || !ours || url?.origin !== this.#origin || url.pathname !== path) {
      return send(response, 404, { ok: false, text: 'There is nothing here.' });
    }
    this.#take = undefined;
    const outcome = await take(url);
    send(response, outcome.ok ? 200 : 400, outcome);
  }
}

function send(response: ServerResponse, status: number, { text }: Outcome): void {
  const page = html`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark"><title>systemprompt</title></head><body><p>${text}</p></body></html>`;
  response
    .writeHead(status, {
      'content-type': 'text/html; charset=utf-8',
      'content-security-policy': "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
      'referrer-policy': 'no-referrer',
      'x-content-type-options': 'nosniff',
      'cache-control': 'no-store',
      connection: 'close',
    })
    .end(`${page}\n`);
}
