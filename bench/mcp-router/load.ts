import { connect, type Socket } from 'node:net';

export interface LoadResult {
  readonly connections: number;
  readonly calls: number;
  readonly errors: number;
  readonly callsPerSecond: number;
  /** Milliseconds. */
  readonly p50: number;
  readonly p99: number;
}

export interface LoadOptions {
  readonly port: number;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  /** POST unless told. */
  readonly method?: string;
  /** What stands in a good answer; that of a JSON-RPC call unless told. */
  readonly expected?: string;
  /** Headers and body of each request in turn, where they are not the same: by the last answer of that connection. */
  readonly each?: (
    connection: number,
    answer: string | undefined,
  ) => { readonly authorization?: string; readonly body?: string };
  readonly connections: number;
  /** How long to load before, and while, measuring, in ms. */
  readonly warmUpMs: number;
  readonly durationMs: number;
  /** Stop after so many measured calls, if they come first. */
  readonly maxCalls?: number;
}

/**
 * A closed loop of calls over kept-alive connections: each sends the next call when it has the answer. Bare sockets and
 * one prepared request, so that the generator takes as little as possible of the machine that it shares.
 */
export async function load(options: LoadOptions): Promise<LoadResult> {
  const { each, method = 'POST', expected = '"result"' } = options;
  const messageOf = ({ body = options.body, ...more }: { body?: string; authorization?: string }) => {
    const lines = Object.entries({ ...options.headers, ...more, 'content-length': String(Buffer.byteLength(body)) });
    const head = lines.map(([name, value]) => `${name}: ${value}\r\n`).join('');
    return Buffer.from(`${method} ${options.path} HTTP/1.1\r\nhost: 127.0.0.1:${options.port}\r\n${head}\r\n${body}`);
  };
  const always = messageOf({});
  const times: number[] = [];
  const start = performance.now() + options.warmUpMs;
  const end = start + options.durationMs;
  let errors = 0;
  let last = start;
  await Promise.all(
    Array.from({ length: options.connections }, (_, connection) => {
      const next = each === undefined ? () => always : (answer?: string) => messageOf(each(connection, answer));
      return client(options.port, { next, expected }, (ok, ms) => {
        const now = performance.now();
        if (now < start) return true;
        if (!ok) errors += 1;
        else times.push(ms);
        last = now;
        return now < end && times.length < (options.maxCalls ?? Number.POSITIVE_INFINITY);
      });
    }),
  );
  times.sort((a, b) => a - b);
  const at = (share: number) => times[Math.min(times.length - 1, Math.floor(times.length * share))] ?? Number.NaN;
  return {
    connections: options.connections,
    calls: times.length,
    errors,
    callsPerSecond: Math.round((times.length / (last - start)) * 1_000),
    p50: round(at(0.5)),
    p99: round(at(0.99)),
  };
}

export function round(value: number, digits = 3): number {
  return Number(value.toFixed(digits));
}

/** One connection; `onAnswer` says whether to go on. */
function client(
  port: number,
  { next, expected }: { readonly next: (answer?: string) => Buffer; readonly expected: string },
  onAnswer: (ok: boolean, ms: number) => boolean,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket: Socket = connect({ port, host: '127.0.0.1', noDelay: true });
    let received = '';
    let sentAt = 0;
    const send = (message: Buffer) => {
      received = '';
      sentAt = performance.now();
      socket.write(message);
    };
    socket.setEncoding('latin1');
    socket.on('connect', () => send(next()));
    socket.on('error', reject);
    socket.on('close', () => resolve());
    socket.on('data', (chunk) => {
      received += String(chunk);
      const ok = complete(received, expected);
      if (ok === undefined) return;
      // Made of the last answer too: the next load goes on where this one ended.
      const ms = performance.now() - sentAt;
      const message = next(received);
      if (onAnswer(ok, ms)) send(message);
      else socket.destroy();
    });
  });
}

/** Whether a whole response is there and carries a result; nothing while it is not whole. */
function complete(text: string, expected: string): boolean | undefined {
  const end = text.indexOf('\r\n\r\n');
  if (end === -1) return undefined;
  const length = /\r\ncontent-length: (\d+)/i.exec(text.slice(0, end + 2))?.[1];
  const whole = length === undefined ? text.endsWith('\r\n0\r\n\r\n') : text.length >= end + 4 + Number(length);
  if (!whole) return undefined;
  return text.startsWith('HTTP/1.1 200') && text.includes(expected);
}
