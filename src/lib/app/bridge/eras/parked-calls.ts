import { createHash, randomBytes } from 'node:crypto';
import { isRecord } from '../../router/jsonrpc.ts';
import type { Asker } from '../backend.ts';
import type { JsonRpcMessage } from '../message.ts';
import { without } from './json.ts';

/** A call that waits at its server until its client comes back with an answer. */
export interface Parked {
  /** Who may come back, and with what. */
  readonly of: string;
  /** Nobody came back in time, or there is no room. */
  expire(): void;
}

/**
 * The calls that wait for their clients, each under a handle of 192 random bits that is good once. A handle is worth nothing
 * to another user or with another call: what it was given for is part of the key.
 */
export class ParkedCalls {
  readonly #calls = new Map<string, { readonly call: Parked; readonly timer: NodeJS.Timeout; readonly user: string }>();
  readonly #perUser = new Map<string, number>();
  readonly #limits: { readonly waitMs: number; readonly all: number; readonly perUser: number };

  constructor(limits = { waitMs: 10 * 60_000, all: 1_000, perUser: 100 }) {
    this.#limits = limits;
  }

  get size(): number {
    return this.#calls.size;
  }

  /** @returns the handle; nothing when too many wait already */
  park(call: Parked, asker: Asker): string | undefined {
    const user = asker.identity.sub;
    const mine = this.#perUser.get(user) ?? 0;
    if (this.#calls.size >= this.#limits.all || mine >= this.#limits.perUser) return undefined;
    const handle = randomBytes(24).toString('base64url');
    const timer = setTimeout(() => {
      this.#remove(handle);
      call.expire();
    }, this.#limits.waitMs);
    timer.unref();
    this.#calls.set(handle, { call, timer, user });
    this.#perUser.set(user, mine + 1);
    return handle;
  }

  /** The call that a request comes back for; the handle is used up. Nothing for a handle that is not this call's. */
  take(handle: string, request: JsonRpcMessage, asker: Asker): Parked | undefined {
    const entry = this.#calls.get(handle);
    if (entry === undefined || entry.call.of !== callKey(request, asker)) return undefined;
    this.#remove(handle);
    return entry.call;
  }

  /** Lets all of them go. */
  clear(): void {
    for (const [handle, { call }] of [...this.#calls]) {
      this.#remove(handle);
      call.expire();
    }
  }

  #remove(handle: string): void {
    const entry = this.#calls.get(handle);
    if (entry === undefined) return;
    clearTimeout(entry.timer);
    this.#calls.delete(handle);
    const left = (this.#perUser.get(entry.user) ?? 1) - 1;
    if (left === 0) this.#perUser.delete(entry.user);
    else this.#perUser.set(entry.user, left);
  }
}

/** A digest of who makes which call with which arguments: the same for each round of one call, whatever order its members are in. */
export function callKey(request: JsonRpcMessage, { identity }: Asker): string {
  const params = without(request.params, '_meta', 'inputResponses', 'requestState');
  const facts = JSON.stringify([identity.sub, request.method, ordered(params)]);
  return createHash('sha256').update(facts).digest('base64url');
}

function ordered(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(ordered);
  if (!isRecord(value)) return value;
  return Object.fromEntries(
    Object.keys(value)
      .sort()
      .map((key) => [key, ordered(value[key])]),
  );
}
