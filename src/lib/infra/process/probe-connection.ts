import { connect, type NetConnectOpts, type Socket } from 'node:net';

const answerLimit = 64 * 1024;
const receivedBytes = 16 * 1024;

/** Of all connections: what has arrived is taken out before anything else is read. */
let received: Buffer | undefined;

export interface ProbeAnswer {
  readonly status: number;
  readonly body: string;
}

/** The bound on the time of one question has passed. */
export class NoAnswerInTime extends Error {
  constructor() {
    super('no answer in time');
  }
}

/** Whoever asked wants to know it no longer. */
class GivenUp extends Error {}

/** The other side closed a connection that had been open for a while before it answered anything. */
class ClosedBefore extends Error {}

interface Question {
  readonly resolve: (answer: ProbeAnswer) => void;
  readonly reject: (error: Error) => void;
  readonly timer: NodeJS.Timeout;
  readonly reused: boolean;
  /** What has come of the answer, a character for each byte. */
  text: string;
}

/**
 * Asks one process again and again over one connection, one question at a time. HTTP/1.1 as far as a small answer needs
 * it (RFC 9112), on a bare socket: a client request of node:http costs a supervisor that is interpreted three times as much.
 */
export class ProbeConnection {
  #socket: Socket | undefined;
  #openedAt = 0;
  #question: Question | undefined;

  /** For how long it has been open, in ms; nothing while it is closed. */
  get ageMs(): number | undefined {
    return this.#socket === undefined ? undefined : performance.now() - this.#openedAt;
  }

  /**
   * Sends a request, over the connection that is open, or over a new one.
   * @param request the whole of it, a GET
   * @throws NoAnswerInTime; the operating system's error; an error for what is no answer
   */
  async ask(address: NetConnectOpts, request: string, timeoutMs: number): Promise<ProbeAnswer> {
    try {
      return await this.#send(address, request, timeoutMs);
    } catch (error) {
      // The other side may have been about to close it.
      if (error instanceof ClosedBefore) return await this.#send(address, request, timeoutMs);
      throw error;
    }
  }

  /** Ends the connection, and a question that is under way. The next one opens another. */
  close(): void {
    this.#over(new GivenUp('the check was given up'));
  }

  #send(address: NetConnectOpts, request: string, timeoutMs: number): Promise<ProbeAnswer> {
    return new Promise((resolve, reject) => {
      const reused = this.#socket !== undefined;
      const timer = setTimeout(() => this.#over(new NoAnswerInTime()), timeoutMs);
      this.#question = { resolve, reject, timer, reused, text: '' };
      this.#socket ??= this.#connect(address);
      this.#socket.write(request, 'latin1');
    });
  }

  #connect(address: NetConnectOpts): Socket {
    received ??= Buffer.allocUnsafeSlow(receivedBytes);
    const mine = (): boolean => this.#socket === socket;
    const onread = {
      buffer: received,
      callback: (length: number, buffer: Uint8Array): boolean => {
        if (mine()) this.#take((buffer as Buffer).toString('latin1', 0, length));
        return true;
      },
    };
    const socket = connect({ ...address, onread });
    socket.on('error', (error) => mine() && this.#over(error));
    socket.on('end', () => mine() && this.#ended());
    socket.on('close', () => mine() && this.#ended());
    this.#openedAt = performance.now();
    return socket;
  }

  #take(text: string): void {
    const question = this.#question;
    if (question === undefined) {
      this.#over(); // nobody asked
      return;
    }
    question.text += text;
    if (question.text.length > answerLimit) this.#over(new Error('the answer is too long'));
    else this.#look(question, false);
  }

  #ended(): void {
    if (this.#question !== undefined) this.#look(this.#question, true);
    this.#over();
  }

  #look(question: Question, ended: boolean): void {
    try {
      const found = parseAnswer(question.text, ended);
      if (found === undefined) return;
      clearTimeout(question.timer);
      this.#question = undefined;
      if (!found.keep) this.#over();
      question.resolve(found.answer);
    } catch (error) {
      this.#over(error instanceof Error ? error : new Error(String(error)));
    }
  }

  #over(error?: Error): void {
    const socket = this.#socket;
    const question = this.#question;
    this.#socket = undefined;
    this.#question = undefined;
    socket?.destroy();
    if (question === undefined) return;
    clearTimeout(question.timer);
    const { reused, text, reject } = question;
    const failure = error ?? new Error('the connection was closed');
    const ours = failure instanceof NoAnswerInTime || failure instanceof GivenUp;
    reject(reused && text === '' && !ours ? new ClosedBefore(failure.message) : failure);
  }
}

/**
 * @param ended nothing more is to come
 * @returns `undefined` while it is not whole
 * @throws for what is no answer
 */
export function parseAnswer(text: string, ended: boolean): { answer: ProbeAnswer; keep: boolean } | undefined {
  if (!'HTTP/1.'.startsWith(text.slice(0, 7))) throw new Error('the answer is no HTTP');
  const end = text.indexOf('\r\n\r\n');
  if (end < 0) return undefined;
  const head = text.slice(0, end);
  const status = Number(/^HTTP\/1\.[01] (\d{3})(?: |$)/m.exec(head)?.[1]);
  if (Number.isNaN(status)) throw new Error('the answer is no HTTP');
  const rest = text.slice(end + 4);
  if (status < 200) return parseAnswer(rest, ended);
  const whole = bodyOf(head, rest, ended);
  if (whole === undefined) return undefined;
  const keep = !ended && whole.delimited && head.startsWith('HTTP/1.1') && !/\nconnection:[^\r]*close/i.test(head);
  return { answer: { status, body: Buffer.from(whole.body, 'latin1').toString() }, keep };
}

/** RFC 9112, 6.3: by chunks, by a length, or up to the end of the connection. */
function bodyOf(head: string, rest: string, ended: boolean): { body: string; delimited: boolean } | undefined {
  if (/\ntransfer-encoding:[^\r]*chunked/i.test(head)) {
    const body = unchunked(rest);
    return body === undefined ? undefined : { body, delimited: true };
  }
  const length = /\ncontent-length:[ \t]*(\d+)/i.exec(head)?.[1];
  if (length === undefined) return ended ? { body: rest, delimited: false } : undefined;
  return rest.length < Number(length) ? undefined : { body: rest.slice(0, Number(length)), delimited: true };
}

/** RFC 9112, 7.1: each chunk with its length in hexadecimal, the last one empty, then trailers that end with an empty line. */
function unchunked(text: string): string | undefined {
  let body = '';
  for (let at = 0; ; ) {
    const lineEnd = text.indexOf('\r\n', at);
    if (lineEnd < 0) return undefined;
    const size = /^[0-9a-f]+/i.exec(text.slice(at, lineEnd))?.[0];
    if (size === undefined) throw new Error('the answer is no HTTP');
    const from = lineEnd + 2;
    const length = Number.parseInt(size, 16);
    if (length === 0) return text.startsWith('\r\n', from) || text.includes('\r\n\r\n', from) ? body : undefined;
    if (text.length < from + length + 2) return undefined;
    body += text.slice(from, from + length);
    at = from + length + 2;
  }
}
