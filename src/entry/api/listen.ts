import { randomUUID } from 'node:crypto';
import { chmodSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse, STATUS_CODES } from 'node:http';
import { createServer as createTlsServer, type Server as TlsServer } from 'node:https';
import type { Socket } from 'node:net';
import { networkInterfaces } from 'node:os';
import { TLSSocket } from 'node:tls';
import type { TlsPair } from '../../lib/infra/config/tls-files.ts';
import { type DrainOptions, GracefulServers } from '../../lib/infra/http/graceful-servers.ts';
import { PortTakenError, PreconditionError, TimeoutError, TooLargeError, UsageError } from '../../lib/shared/errors.ts';
import { problemContentType, toProblem } from './problem.ts';

export interface ListenOptions {
  /** `localhost` means 127.0.0.1, and ::1 where the machine has it. */
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  /** Others of our user may listen on the port too (SO_REUSEPORT, socket(7)); the kernel spreads connections over them. */
  readonly shared?: boolean;
  /** Certificate and key: the port answers by https alone. The socket beside it does not. */
  readonly tls?: TlsPair;
  /** Path of a unix socket on which this process alone answers, by the same handler unless there is another for it. */
  readonly probeSocket?: string;
  /** What answers there instead. */
  readonly probeHandler?: Handler | undefined;
  /** The setting of the profile that has the port, for errors; `server.port` unless told. */
  readonly setting?: string;
  /** How long a request may take to arrive in full, in ms. */
  readonly requestTimeoutMs?: number;
  /** How long its headers may take, in ms. */
  readonly headersTimeoutMs?: number;
}

const maxHeaderBytes = 16 * 1024;
/** Longer than the 60 s after which proxies usually drop their side, so that they never reuse one we just closed. */
const keepAliveMs = 72_000;
const checkEveryMs = 500;
/** Below TLS 1.2 there is none that may be used (RFC 8996). */
const oldestTls = 'TLSv1.2';

/** The listening sockets of the API, one for each address, answering as one. */
export class HttpEndpoint {
  readonly #servers = new GracefulServers();
  readonly #tlsServers: TlsServer[] = [];
  #port = 0;

  private constructor() {}

  /**
   * Binds every address of the host to one port, and the socket beside it.
   * @throws PortTakenError when somebody else has the port; PreconditionError when the address can't be bound
   */
  static async listen(handler: Handler, options: ListenOptions): Promise<HttpEndpoint> {
    const endpoint = new HttpEndpoint();
    const bound: Server[] = [];
    const open = async (answer: Handler, listen: (server: Server) => Promise<void>, tls?: TlsPair): Promise<void> => {
      const server =
        tls === undefined ? createServer(settings(options), answer) : endpoint.#secure(tls, options, answer);
      endpoint.#servers.add(server);
      server.on('clientError', (error, socket) => endpoint.#onBrokenRequest(error, socket as Socket));
      await listen(server);
      bound.push(server);
    };
    try {
      for (const host of addressesOf(options.host)) {
        const listen = async (server: Server) => {
          endpoint.#port = await bind(server, host, endpoint.#port || options.port, options);
        };
        await open(handler, listen, options.tls);
      }
      // Last: whoever is answered there may rely on the port.
      const { probeSocket, probeHandler = handler } = options;
      if (probeSocket !== undefined) await open(probeHandler, (server) => bindProbeSocket(server, probeSocket));
    } catch (error) {
      for (const server of bound) server.close();
      throw error;
    }
    return endpoint;
  }

  get port(): number {
    return this.#port;
  }

  /** How many connections are open. */
  get connections(): number {
    return this.#servers.connections;
  }

  get draining(): boolean {
    return this.#servers.draining;
  }

  /** Stops without losing a request. @returns how many connections had to be cut */
  drain(options: DrainOptions): Promise<number> {
    return this.#servers.drain(options);
  }

  /** Takes another certificate for the connections to come; those that are open stay as they are. */
  renew({ cert, key }: TlsPair): void {
    for (const server of this.#tlsServers) server.setSecureContext({ cert, key, minVersion: oldestTls });
  }

  #secure(tls: TlsPair, options: ListenOptions, handler: Handler): Server {
    const server = createTlsServer({ ...settings(options), ...tls, minVersion: oldestTls }, handler);
    this.#tlsServers.push(server);
    return server as unknown as Server;
  }

  #onBrokenRequest(error: NodeJS.ErrnoException, socket: Socket): void {
    // In the middle of an answer there is no place for another.
    // A client that could not agree on TLS, or spoke without it, reads no answer either.
    const insecure = socket instanceof TLSSocket && socket.getProtocol() === null;
    if (insecure || this.#servers.isAnswering(socket) || error.code === 'ECONNRESET' || !socket.writable)
      socket.destroy();
    else answerBrokenRequest(error.code, socket);
  }
}

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

function settings(options: ListenOptions) {
  return {
    maxHeaderSize: maxHeaderBytes,
    requestTimeout: options.requestTimeoutMs ?? 60_000,
    headersTimeout: options.headersTimeoutMs ?? 10_000,
    keepAliveTimeout: keepAliveMs,
    connectionsCheckingInterval: checkEveryMs,
    noDelay: true,
  };
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

type Binding = Pick<ListenOptions, 'shared' | 'setting'>;

function bind(server: Server, host: string, port: number, options: Binding): Promise<number> {
  const { shared = false, setting = 'server.port' } = options;
  return new Promise((done, fail) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') {
        fail(
          new PortTakenError(`Port ${port} on ${host} is taken`, {
            hint: `End the program that has it, or set another \`${setting}\` in the profile.`,
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
    server.listen({ host, port, exclusive: true, reusePort: shared }, () => {
      const address = server.address();
      done(typeof address === 'object' && address !== null ? address.port : port);
    });
  });
}

/** The folder is 0700 already; the socket says so once more. */
function bindProbeSocket(server: Server, path: string): Promise<void> {
  return new Promise((done, fail) => {
    server.once('error', (cause: NodeJS.ErrnoException) => {
      fail(new PreconditionError(`The API can't listen on ${path} (${cause.code})`, { cause }));
    });
    server.listen({ path, exclusive: true }, () => {
      chmodSync(path, 0o600);
      done();
    });
  });
}
