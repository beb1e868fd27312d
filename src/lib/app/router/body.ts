import type { IncomingMessage, ServerResponse } from 'node:http';
import { CancelledError, TimeoutError, TooLargeError } from '../../shared/errors.ts';

export interface BodyLimits {
  readonly bytes: number;
  /** How long the whole body may take to arrive, in ms. */
  readonly timeoutMs: number;
}

/**
 * How long, in ms, and how much, in bytes, a client that is still sending may go on after it was refused: it should get
 * to read why, also on a slow line.
 */
const linger = { ms: 5_000, bytes: 16 * 1024 * 1024 };

/**
 * Reads a request's body whole.
 * @throws TooLargeError, TimeoutError (neither has been answered; see `endUnread`), CancelledError when the client left
 */
export function readBody(req: IncomingMessage, limits: BodyLimits): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const declared = Number(req.headers['content-length'] ?? 0);
    if (declared > limits.bytes) {
      reject(tooLarge(limits.bytes));
      return;
    }
    let first: Buffer | undefined;
    let rest: Buffer[] | undefined;
    let bytes = 0;
    const timer = setTimeout(() => fail(timedOut(limits.timeoutMs)), limits.timeoutMs);
    const stop = () => {
      clearTimeout(timer);
      req.off('data', onData).off('end', onEnd).off('close', onClose).off('error', onClose);
    };
    const fail = (error: Error) => {
      stop();
      req.pause();
      reject(error);
    };
    const onData = (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > limits.bytes) {
        fail(tooLarge(limits.bytes));
      } else if (first === undefined) {
        first = chunk;
      } else {
        rest ??= [first];
        rest.push(chunk);
      }
    };
    const onEnd = () => {
      stop();
      resolve(rest === undefined ? (first ?? Buffer.alloc(0)) : Buffer.concat(rest, bytes));
    };
    const onClose = () => fail(new CancelledError('The client left before its request was complete.'));
    req.on('data', onData).on('end', onEnd).on('close', onClose).on('error', onClose);
  });
}

/**
 * Lets go of a client whose body was not read to its end, after it was answered: takes in and drops what it still sends
 * for a moment (else the reset connection may swallow the answer), then cuts the connection.
 */
export function endUnread(req: IncomingMessage, res: ServerResponse): void {
  const { socket } = req;
  if (req.complete || socket.destroyed) return;
  const timer = setTimeout(() => socket.destroy(), linger.ms);
  socket.once('close', () => clearTimeout(timer));
  let dropped = 0;
  req
    .on('error', () => undefined)
    .on('data', (chunk: Buffer) => {
      dropped += chunk.length;
      if (dropped > linger.bytes) socket.destroy();
    })
    .resume();
  res.once('finish', () => socket.end());
}

function tooLarge(limit: number): TooLargeError {
  return new TooLargeError(`The body is larger than ${limit} bytes.`, { data: { limit } });
}

function timedOut(ms: number): TimeoutError {
  return new TimeoutError(`The body did not arrive within ${ms} ms.`, { data: { timeoutMs: ms } });
}
