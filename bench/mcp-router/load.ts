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
  /** Path, headers and body of each request in turn, where they are not the same: by the last answer of that connection. */
  readonly each?: (
    connection: number,
    answer: string | undefined,
  ) => {
    readonly path?: string;
    readonly authorization?: string;
    readonly 'x-systemprompt-identity'?: string;
    readonly body?: string;
  };
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
  const messageOf = ({ path = options.path, body = options.body, ...more }: ReturnType<NonNullable<typeof each>>) => {
    const lines = Object.entries({ ...options.headers, ...more, 'content-length': String(Buffer.byteLength(body)) });
    const head = lines.map(([name, value]) => `${name}: ${value}\r\n`).join('');
    return Buffer.from(`${method} ${path} HTTP/1.1\r\nhost: 127.0.0.1:${options.port}\r\n${head}\r\n${body}`);
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
    let received = new Received();
    let sentAt = 0;
    const send = (message: Buffer) => {
      received = new Received();
      sentAt = performance.now();
      socket.write(message);
    };
    socket.setEncoding('latin1');
    socket.on('connect', () => send(next()));
    socket.on('error', reject);
    socket.on('close', () => resolve());
    socket.on('data', (chunk) => {
      if (!received.take(String(chunk))) return;
      const { text } = received;
      const ok = text.startsWith('HTTP/1.1 200') && text.includes(expected);
      // Made of the last answer too: the next load goes on where this one ended.
      const ms = performance.now() - sentAt;
      const message = next(text);
      if (onAnswer(ok, ms)) send(message);
      else socket.destroy();
    });
  });
}

/** A response as it comes in; a large one is not looked through again with each of its parts. */
class Received {
  readonly #parts: string[] = [];
  #length = 0;
  /** Where it ends, once the head is there; infinite when the last chunk says so. */
  #end: number | undefined;

  get text(): string {
    if (this.#parts.length > 1) this.#parts.splice(0, this.#parts.length, this.#parts.join(''));
    return this.#parts[0] ?? '';
  }

  /** @returns whether it is whole */
  take(part: string): boolean {
    this.#parts.push(part);
    this.#length += part.length;
    if (this.#end === undefined) {
      const { text } = this;
      const head = text.indexOf('\r\n\r\n');
      if (head === -1) return false;
      const length = /\r\ncontent-length: (\d+)/i.exec(text.slice(0, head + 2))?.[1];
      this.#end = length === undefined ? Number.POSITIVE_INFINITY : head + 4 + Number(length);
    }
    if (Number.isFinite(this.#end)) return this.#length >= this.#end;
    const last = '\r\n0\r\n\r\n';
    return part.length >= last.length ? part.endsWith(last) : this.text.endsWith(last);
  }
}
