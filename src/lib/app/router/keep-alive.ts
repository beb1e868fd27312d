import type { ServerResponse } from 'node:http';

/** How long a stream may be quiet, in ms: proxies and load balancers cut what says nothing for a minute. */
const quietMs = 30_000;
/** A comment, which readers leave out (HTML Living Standard, 9.2.5). */
const comment = ': keep-alive\n\n';

/** What a stream is written to. */
export type StreamTarget = Pick<ServerResponse, 'write' | 'writableNeedDrain' | 'writableEnded' | 'destroyed'>;

/** One open stream, as far as its being quiet is concerned. */
export interface KeptStream {
  /** Hears of the bytes that passed. */
  passed(chunk: Uint8Array | string): void;
  /** Not looked after any more. */
  release(): void;
}

export interface KeepAliveOptions {
  /** How long a stream may be quiet, in ms; 30 s unless told. */
  readonly quietMs?: number | undefined;
}

interface Entry {
  readonly target: StreamTarget;
  readonly onBeat: (() => void) | undefined;
  /** By `performance.now()`. */
  lastAt: number;
  /** Whether an event is complete, so that a comment does no harm. */
  between: boolean;
  tail: string;
}

/**
 * Says something on every event stream that was quiet for 30 s, so that nothing on the way gives it up and a peer that
 * vanished is noticed. One clock for all streams; a stream costs one small object.
 */
export class KeepAlive {
  readonly #quietMs: number;
  readonly #entries = new Set<Entry>();
  #clock: NodeJS.Timeout | undefined;

  constructor(options: KeepAliveOptions = {}) {
    this.#quietMs = options.quietMs ?? quietMs;
  }

  /** How many streams are open. */
  get size(): number {
    return this.#entries.size;
  }

  /**
   * Looks after a stream whose head was sent.
   * @param onBeat called when the stream was quiet for so long, before the comment: who may not listen any more is told so
   */
  open(target: StreamTarget, onBeat?: () => void): KeptStream {
    const entry: Entry = { target, onBeat, lastAt: performance.now(), between: true, tail: '' };
    this.#entries.add(entry);
    this.#clock ??= setInterval(() => this.#beat(), this.#quietMs / 6).unref();
    return {
      passed: (chunk) => {
        entry.lastAt = performance.now();
        const last = typeof chunk === 'string' ? chunk.slice(-4) : latin(chunk);
        entry.tail = last.length >= 4 ? last : (entry.tail + last).slice(-4);
        entry.between = entry.tail.endsWith('\n\n') || entry.tail === '\r\n\r\n';
      },
      release: () => this.#release(entry),
    };
  }

  close(): void {
    clearInterval(this.#clock);
    this.#clock = undefined;
    this.#entries.clear();
  }

  #release(entry: Entry): void {
    this.#entries.delete(entry);
    if (this.#entries.size > 0) return;
    clearInterval(this.#clock);
    this.#clock = undefined;
  }

  #beat(): void {
    // A sixth early, so that the next look is not too late.
    const before = performance.now() - (this.#quietMs * 5) / 6;
    for (const entry of this.#entries) {
      if (entry.lastAt > before) continue;
      entry.lastAt = performance.now();
      entry.onBeat?.();
      const { target } = entry;
      // In the middle of an event a comment would end it; who does not read what is there needs no more of it.
      if (!entry.between || target.writableNeedDrain || target.writableEnded || target.destroyed) continue;
      target.write(comment);
    }
  }
}

function latin(chunk: Uint8Array): string {
  return String.fromCharCode(...chunk.subarray(-4));
}
