import type { Server, ServerResponse } from 'node:http';
import { Server as NetServer, type Socket } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';

export interface DrainOptions {
  /** After this many ms whatever is still open is cut. */
  readonly deadlineMs: number;
}

/** How long connections that wait to be accepted may hold up the closing of the listener. */
const acceptMs = 250;
/** A turn of the event loop this short leaves the kernel hardly time to queue a connection that nobody has seen, in ms. */
const quickTurnMs = 0.1;
/** By so much longer may it be for each ms that none so short was seen: a busy process has no short ones. */
const patience = 0.01;
/** So many of them in a row: what is read in one turn has clients connect that are accepted in the next. */
const quietTurns = 3;
/** Between closing the listener and closing idle connections: a request may be on its way on a just-accepted one. */
const idleGraceMs = 250;
const idleSweepMs = 100;
/** A connection that never said a word by then is one that a client opened ahead of need. */
const silentGraceMs = 1000;

/** The open answers and connections of one or several HTTP servers, known so that they can stop without losing a request. */
export class GracefulServers {
  readonly #servers: Server[] = [];
  readonly #open = new Set<ServerResponse>();
  readonly #sockets = new Set<Socket>();
  #draining: Promise<number> | undefined;
  #accepted = 0;
  /** Nobody listens any more. Only then are clients asked to go: until then they would come back here, and be reset. */
  #closed = false;

  /** Takes a server in; before its first request. */
  add(server: Server): void {
    this.#servers.push(server);
    server.prependListener('request', (_request, response) => this.#track(response));
    server.on('connection', (socket) => this.#trackSocket(socket));
  }

  /** How many connections are open. */
  get connections(): number {
    return this.#sockets.size;
  }

  get draining(): boolean {
    return this.#draining !== undefined;
  }

  /** Whether an answer has begun on the connection. */
  isAnswering(socket: Socket): boolean {
    return [...this.#open].some((response) => response.socket === socket && response.headersSent);
  }

  /**
   * Stops without losing a request: the listeners close first, every answer says `Connection: close`, idle connections
   * are closed a moment later and then whenever there are some. Done when none is open, at the deadline at the latest.
   * @returns how many connections had to be cut
   */
  drain({ deadlineMs }: DrainOptions): Promise<number> {
    this.#draining ??= this.#drain(deadlineMs);
    return this.#draining;
  }

  /** Remembers an answer that is under way. Once nobody listens each asks its client to go elsewhere next. */
  #track(response: ServerResponse): void {
    if (this.#closed) response.setHeader('connection', 'close');
    this.#open.add(response);
    response.once('close', () => this.#open.delete(response));
  }

  #trackSocket(socket: Socket): void {
    this.#accepted += 1;
    this.#sockets.add(socket);
    socket.once('close', () => this.#sockets.delete(socket));
  }

  async #drain(deadlineMs: number): Promise<number> {
    let cut = 0;
    await this.#acceptWaiting();
    // http.Server.close() would close idle connections at once, just-accepted ones with an unread request among them,
    // and the client would see a reset: net.Server's own close stops listening and nothing else.
    const closed = this.#servers.map(
      (server) => new Promise<void>((done) => NetServer.prototype.close.call(server, () => done())),
    );
    this.#closed = true;
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

  /**
   * Waits for turns of the event loop in which nobody connected, and which were over quickly: the kernel resets
   * connections that wait to be accepted when the listener closes. Where the port is ours alone, whoever comes in between
   * would be refused a moment later anyway; where several listen, a turn's length is all that stays open to chance.
   */
  async #acceptWaiting(): Promise<void> {
    const begin = performance.now();
    let now = begin;
    let quiet = 0;
    while (quiet < quietTurns && now - begin < acceptMs) {
      const before = this.#accepted;
      const since = now;
      await nextTurn();
      now = performance.now();
      const quick = now - since < quickTurnMs + (now - begin) * patience;
      quiet = quick && this.#accepted === before ? quiet + 1 : 0;
    }
  }

  #closeIdle(drainingSince: number): void {
    for (const server of this.#servers) server.closeIdleConnections();
    if (performance.now() - drainingSince < silentGraceMs) return;
    for (const socket of this.#sockets) if (socket.bytesRead === 0) socket.destroy();
  }
}
