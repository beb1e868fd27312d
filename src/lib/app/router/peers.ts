import { type IncomingMessage, request, type ServerResponse } from 'node:http';
import { join } from 'node:path';
import { pipeline } from 'node:stream';
import { ApiUnavailableError } from '../../shared/errors.ts';
import { sendError } from './answers.ts';

/** What belongs to a connection and not to the request on it (RFC 9110 section 7.6.1). */
const hopByHop: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'te',
  'upgrade',
  'host',
  'origin',
  'expect',
]);

export interface PeersOptions {
  /** This run of the API process. */
  readonly apiInstance: string;
  /** Folder with the sockets on which each API process alone answers; without it there is one process. */
  readonly folder: string | undefined;
  /** The address of the API, by which a process knows that it is meant. */
  readonly externalUrl: string;
}

/** The other API processes of the instance: what only one of them can answer is handed to it. */
export class Peers {
  /** By which the others know this one: the end of its id, after which its socket is named. */
  readonly own: string;
  readonly #folder: string | undefined;
  readonly #host: string;

  constructor({ apiInstance, folder, externalUrl }: PeersOptions) {
    this.own = apiInstance.replaceAll('-', '').slice(-12);
    this.#folder = folder;
    this.#host = new URL(externalUrl).host;
  }

  /**
   * Hands a request whose body nobody has read to another process, and its answer back. Whether the caller may ask is for
   * that one to say: its credentials go along, over a socket that only this instance's user can open.
   * @returns false when it is for this process, or for none that could be
   */
  forward(owner: string, req: IncomingMessage, res: ServerResponse): boolean {
    if (owner === this.own || this.#folder === undefined || !/^[0-9a-f]{12}$/.test(owner)) return false;
    const headers: string[] = ['host', this.#host];
    for (let at = 0; at + 1 < req.rawHeaders.length; at += 2) {
      const [name = '', value = ''] = [req.rawHeaders[at], req.rawHeaders[at + 1]];
      if (!hopByHop.has(name.toLowerCase())) headers.push(name, value);
    }
    const { method = 'POST', url = '/' } = req;
    const outgoing = request({ socketPath: join(this.#folder, `${owner}.sock`), method, path: url, headers });
    outgoing.on('response', (answer) => {
      res.writeHead(answer.statusCode ?? 502, answer.headers);
      // What breaks off on one side breaks off on the other.
      pipeline(answer, res, () => undefined);
    });
    // A client that leaves takes its request with it, also before there is an answer.
    res.once('close', () => outgoing.destroy());
    outgoing.on('error', () => {
      // A process that ended took its streams along.
      const error = new ApiUnavailableError('There is no such stream.', { hint: 'Open a new one with GET …/sse.' });
      if (!res.headersSent) sendError(res, { error, status: 404 });
      else res.destroy();
    });
    req.on('error', () => outgoing.destroy());
    req.pipe(outgoing);
    return true;
  }
}
