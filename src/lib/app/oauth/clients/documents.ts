import { isIP } from 'node:net';
import type { GuardedFetch } from '../../../infra/http/guarded-fetch.ts';

/** How the documents are fetched that clients publish of themselves (client-id metadata documents). */
export interface DocumentSettings {
  /** Hosts whose clients are let in, `*.example.com` for those below one; empty: any. */
  readonly hosts: readonly string[];
}

const maxBytes = 5 * 1024;
const timeoutMs = 2500;
const maxLength = 500;
/** A document that was no good is not asked for again by anybody for so long, in ms. */
const refusedMs = 60_000;
/** Fetches at the same time, of all clients together: a slow host must not hold up the others' sign-ins. */
const concurrent = 8;
const perHostConcurrent = 2;
/** Fetches in a minute. */
const perMinute = 120;
const perHostPerMinute = 20;
const remembered = 2000;

interface Attempt {
  state: 'running' | 'ended' | 'good';
  endedAt: number;
}

/** Decides which documents are fetched, and fetches them. */
export class ClientDocuments {
  readonly #settings: DocumentSettings;
  readonly #fetch: GuardedFetch;
  readonly #attempts = new Map<string, Attempt>();
  /** Addresses that a request has asked for: one that fails is looked for again while the error is made. */
  readonly #asked = new WeakMap<object, Set<string>>();
  #window = 0;
  readonly #counts = new Map<string, number>();

  constructor(settings: DocumentSettings, fetch: GuardedFetch) {
    this.#settings = settings;
    this.#fetch = fetch;
  }

  /** For `features.clientIdMetadataDocument.allowFetch`; the form of the address is checked by the provider before. */
  allowFetch(ctx: object | undefined, id: string): boolean {
    if (!this.#allowedAddress(id)) return false;
    if (ctx !== undefined) {
      const asked = this.#asked.get(ctx) ?? new Set();
      if (asked.has(id)) return false;
      this.#asked.set(ctx, asked.add(id));
    }
    const now = performance.now();
    const attempt = this.#attempts.get(id);
    if (attempt?.state === 'running') return true; // it is waited for, not made again
    if (attempt?.state === 'ended' && now - attempt.endedAt < refusedMs) return false;
    if (!this.#mayFetch(new URL(id).hostname, now)) return false;
    if (this.#attempts.size >= remembered) this.#forgetOld(now);
    this.#attempts.set(id, { state: 'running', endedAt: 0 });
    return true;
  }

  /** For `allowClient`, which is asked at every use: what is in the settings now holds for documents of before too. */
  allowClient(id: string): boolean {
    const attempt = this.#attempts.get(id);
    if (attempt !== undefined) attempt.state = 'good';
    return this.#allowedAddress(id);
  }

  /** For `fetch` of the provider's configuration: the guarded one, with the whole body read within the time. */
  readonly fetch = async (input: string | URL, options: { readonly headers?: unknown } = {}): Promise<Response> => {
    const url = String(input);
    const attempt = this.#attempts.get(url);
    try {
      const { status, headers, body } = await this.#fetch(url, {
        maxBytes,
        timeoutMs,
        headers: plain(options.headers),
      });
      const kept = new Headers();
      for (const name of ['cache-control', 'expires', 'content-type']) {
        const value = headers.get(name);
        if (value !== null) kept.set(name, value);
      }
      return new Response(status === 204 || status === 304 ? null : new Uint8Array(body), { status, headers: kept });
    } finally {
      if (attempt !== undefined && attempt.state === 'running') {
        attempt.state = 'ended';
        attempt.endedAt = performance.now();
      }
    }
  };

  #allowedAddress(id: string): boolean {
    const url = URL.parse(id);
    if (url === null || id.length > maxLength || url.protocol !== 'https:') return false;
    if (url.port !== '' || url.pathname === '/' || url.hash !== '' || url.username !== '' || url.password !== '') {
      return false;
    }
    const host = url.hostname.replace(/\.$/, '');
    if (isIP(host.replace(/^\[|\]$/g, '')) !== 0 || !host.includes('.')) return false;
    if (/\.(localhost|local|internal|home\.arpa|lan)$/.test(host)) return false;
    const { hosts } = this.#settings;
    return hosts.length === 0 || hosts.some((allowed) => matchesHost(allowed, host));
  }

  #mayFetch(host: string, now: number): boolean {
    const running = [...this.#attempts].filter(([, { state }]) => state === 'running');
    const there = running.filter(([id]) => new URL(id).hostname === host);
    if (running.length >= concurrent || there.length >= perHostConcurrent) return false;
    const window = Math.floor(now / 60_000);
    if (window !== this.#window) {
      this.#window = window;
      this.#counts.clear();
    }
    const [all, ofHost] = [this.#counts.get('') ?? 0, this.#counts.get(host) ?? 0];
    if (all >= perMinute || ofHost >= perHostPerMinute) return false;
    this.#counts.set('', all + 1);
    this.#counts.set(host, ofHost + 1);
    return true;
  }

  #forgetOld(now: number): void {
    for (const [id, { state, endedAt }] of this.#attempts) {
      if (state === 'good' || (state === 'ended' && now - endedAt >= refusedMs)) this.#attempts.delete(id);
    }
  }
}

function matchesHost(allowed: string, host: string): boolean {
  return allowed.startsWith('*.') ? host.endsWith(allowed.slice(1)) : host === allowed;
}

function plain(headers: unknown): Record<string, string> {
  const accept = new Headers((headers ?? {}) as Record<string, string>).get('accept');
  return accept === null ? {} : { accept };
}
