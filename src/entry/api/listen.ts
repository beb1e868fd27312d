import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse, STATUS_CODES } from 'node:http';
import { Server as NetServer, type Socket } from 'node:net';
import { networkInterfaces } from 'node:os';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { PortTakenError, PreconditionError, TimeoutError, TooLargeError, UsageError } from '../../lib/shared/errors.ts';
import { problemContentType, toProblem } from './problem.ts';

export interface ListenOptions {
  /** `localhost` means 127.0.0.1, and ::1 where the machine has it. */
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  /** How long a request may take to arrive in full, in ms. */
  readonly requestTimeoutMs?: number;
  /** How long its headers may take, in ms. */
  readonly headersTimeoutMs?: number;
}

export interface DrainOptions {
  /** After this many ms whatever is still open is cut. */
  readonly deadlineMs: number;
}

const maxHeaderBytes = 16 * 1024;
/** Longer than the 60 s after which proxies usually drop their side, so that they never reuse one we just closed. */
const keepAliveMs = 72_000;
const checkEveryMs = 500;
/** How long connections that wait to be accepted may hold up the closing of the listener. */
const acceptMs = 50;
/** Between closing the listener and closing idle connections: a request may be on its way on a just-accepted one. */
const idleGraceMs = 250;
const idleSweepMs = 100;
/** A connection that never said a word by then is one that a client opened ahead of need. */
const silentGraceMs = 1000;

/** The listening sockets of the API, one for each address, answering as one. */
export class HttpEndpoint {
  readonly #servers: Server[] = [];
  readonly #open = new Set<ServerResponse>();
  readonly #sockets = new Set<Socket>();
  #draining: Promise<number> | undefined;
  #port = 0;
  #accepted = 0;

  private constructor() {}

  /**
   * Binds every address of the host to one port.
   * @throws PortTakenError when somebody else has the port; PreconditionError when the address can't be bound
   */
  static async listen(
    handler: (request: IncomingMessage, response: ServerResponse) => void,
    options: ListenOptions,
  ): Promise<HttpEndpoint> {
    const endpoint = new HttpEndpoint();
    try {
      for (const host of addressesOf(options.host)) {
        const server = createHttpServer(options, (request, response) => {
          endpoint.#track(response);
          handler(request, response);
        });
        server.on('connection', (socket) => endpoint.#trackSocket(socket));
        server.on('clientError', (error, socket) => endpoint.#onBrokenRequest(error, socket as Socket));
        endpoint.#port = await bind(server, host, endpoint.#port || options.port);
        endpoint.#servers.push(server);
      }
    } catch (error) {
      for (const bound of endpoint.#servers) bound.close();
      throw error;
    }
    return endpoint;
  }

  get port(): number {
    return this.#port;
  }

  /** How many connections are open. */
  get connections(): number {
    return this.#sockets.size;
  }

  get draining(): boolean {
    return this.#draining !== undefined;
  }

  /** Remembers an answer that is under way. While draining each asks its client to go elsewhere next. */
  #track(response: ServerResponse): void {
    if (this.draining) response.setHeader('connection', 'close');
    this.#open.add(response);
    response.once('close', () => this.#open.delete(response));
  }

  #trackSocket(socket: Socket): void {
    this.#accepted += 1;
    this.#sockets.add(socket);
    socket.once('close', () => this.#sockets.delete(socket));
  }

  /**
   * Stops without losing a request: the listener closes first, every answer says `Connection: close`, idle connections
   * are closed a moment later and then whenever there are some. Done when none is open, at the deadline at the latest.
   * @returns how many connections had to be cut
   */
  drain({ deadlineMs }: DrainOptions): Promise<number> {
    this.#draining ??= this.#drain(deadlineMs);
    return this.#draining;
  }

  async #drain(deadlineMs: number): Promise<number> {
    let cut = 0;
    await this.#acceptWaiting();
    // http.Server.close() would close idle connections at once, just-accepted ones with an unread request among them,
    // and the client would see a reset: net.Server's own close stops listening and nothing else.
    const closed = this.#servers.map(
      (server) => new Promise<void>((done) => NetServer.prototype.close.call(server, () => done())),
    );
    for (const response of this.#open) if (!response.headersSent) response.setHeader('connection', 'close');
    const startedAt = performance.now();
    let sweep: NodeJS.Timeout | undefined;
    const begin = setTimeout(() => {
      this.#closeIdle(startedAt);
      sweep = setInterval(() => this.#closeIdle(startedAt), idleSweepMs);
    }, idleGraceMs);
    const deadline = setTimeout(() => {
      cut = this.#sockets.size;
      for (const server of this.#servers) server.closeAllConnections();
    }, deadlineMs);
    try {
      await Promise.all(closed);
    } finally {
      clearTimeout(begin);
      clearInterval(sweep);
      clearTimeout(deadline);
      // What net.Server's close leaves to http.Server's: the timer that looks for slow requests.
      for (const server of this.#servers) server.close();
    }
    return cut;
  }

  #onBrokenRequest(error: NodeJS.ErrnoException, socket: Socket): void {
    // In the middle of an answer there is no place for another.
    const answering = [...this.#open].some((response) => response.socket === socket && response.headersSent);
    if (answering || error.code === 'ECONNRESET' || !socket.writable) socket.destroy();
    else answerBrokenRequest(error.code, socket);
  }

  /**
   * Waits for a turn of the event loop in which nobody connected: the kernel resets connections that wait to be accepted
   * when the listener closes. What still comes in between would be refused a moment later anyway.
   */
  async #acceptWaiting(): Promise<void> {
    const deadline = performance.now() + acceptMs;
    let before: number;
    do {
      before = this.#accepted;
      await nextTurn();
    } while (this.#accepted !== before && performance.now() < deadline);
  }

  #closeIdle(drainingSince: number): void {
    for (const server of this.#servers) server.closeIdleConnections();
    if (performance.now() - drainingSince < silentGraceMs) return;
    for (const socket of this.#sockets) if (socket.bytesRead === 0) socket.destroy();
  }
}

function createHttpServer(
  options: ListenOptions,
  handler: (request: IncomingMessage, response: ServerResponse) => void,
): Server {
  return createServer(
    {
      maxHeaderSize: maxHeaderBytes,
      requestTimeout: options.requestTimeoutMs ?? 60_000,
      headersTimeout: options.headersTimeoutMs ?? 10_000,
      keepAliveTimeout: keepAliveMs,
      connectionsCheckingInterval: checkEveryMs,
      noDelay: true,
    },
    handler,
  );
}

/** Answers what never became a request: too slow, too large, not HTTP. */
function answerBrokenRequest(code: string | undefined, socket: Socket): void {
  const { status, problem } = brokenRequest(code);
  const body = JSON.stringify(toProblem(problem, randomUUID(), status));
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
    'Connection: close',
    `Content-Type: ${problemContentType}`,
    `Content-Length: ${Buffer.byteLength(body)}`,
  ];
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`, () => socket.destroy());
}

function brokenRequest(code: string | undefined) {
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') {
    return { status: 408, problem: new TimeoutError('The request did not arrive in full in time') };
  }
  if (code === 'HPE_HEADER_OVERFLOW') {
    return { status: 431, problem: new TooLargeError(`The headers are larger than ${maxHeaderBytes} bytes`) };
  }
  return { status: 400, problem: new UsageError('This is not HTTP') };
}

/** `localhost` by name binds 127.0.0.1 alone: each loopback address that the machine has is bound. */
function addressesOf(host: string): string[] {
  if (host !== 'localhost') return [host];
  const addresses = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  return addresses.some((entry) => entry.address === '::1') ? ['127.0.0.1', '::1'] : ['127.0.0.1'];
}

function bind(server: Server, host: string, port: number): Promise<number> {
  return new Promise((done, fail) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') {
        fail(
          new PortTakenError(`Port ${port} on ${host} is taken`, {
            hint: 'End the program that has it, or set another `server.port` in the profile.',
            data: { host, port },
            cause: error,
          }),
        );
        return;
      }
      fail(
        new PreconditionError(`The API can't listen on ${host}:${port} (${error.code})`, {
          hint: 'Set `server.host` in the profile to an address of this machine.',
          cause: error,
        }),
      );
    });
    server.listen({ host, port, exclusive: true }, () => {
      const address = server.address();
      done(typeof address === 'object' && address !== null ? address.port : port);
    });
  });
}
