import { createHmac, createSecretKey, hkdfSync, type KeyObject, timingSafeEqual } from 'node:crypto';
import type { UserId } from '../../shared/ids.ts';

/** 128 bits of an HMAC-SHA256 in base64url. */
const macLength = 22;

/**
 * Binds the session id of a server (`Mcp-Session-Id`) to user and server: what the client sees is `<id>.<signature>`.
 * A session is never authentication; with this it is not even a name that another user could use. Nothing is kept, so
 * it holds over restarts and for every API process.
 */
export class SessionBinding {
  readonly #key: KeyObject;

  /** @param root the instance's identity root, 32 bytes */
  constructor(root: Uint8Array) {
    this.#key = createSecretKey(new Uint8Array(hkdfSync('sha256', root, new Uint8Array(0), 'mcp-session', 32)));
  }

  /** The session id as the client gets it. */
  bind(server: string, user: UserId, sessionId: string): string {
    return `${sessionId}.${this.#mac(server, user, sessionId)}`;
  }

  /** The session id as the server gave it; nothing when it was never given to this user for this server. */
  unbind(server: string, user: UserId, bound: string): string | undefined {
    const dot = bound.lastIndexOf('.');
    if (dot <= 0 || bound.length - dot - 1 !== macLength) return undefined;
    const sessionId = bound.slice(0, dot);
    const [want, have] = [Buffer.from(this.#mac(server, user, sessionId)), Buffer.from(bound.slice(dot + 1))];
    return want.length === have.length && timingSafeEqual(want, have) ? sessionId : undefined;
  }

  #mac(server: string, user: UserId, sessionId: string): string {
    return createHmac('sha256', this.#key)
      .update(JSON.stringify([server, user, sessionId]))
      .digest('base64url')
      .slice(0, macLength);
  }
}
