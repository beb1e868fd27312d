import { createHmac, createSecretKey, hash, hkdfSync, type KeyObject, timingSafeEqual } from 'node:crypto';
import type { ServiceInstanceId, UserId } from '../../shared/ids.ts';

/** 128 bits of an HMAC-SHA256 in base64url. */
const macLength = 22;
/** Before the signature of a session whose client can ask its user: each API process knows it by that. */
const elicitsMark = 'e';

/** Whose session it is, and which run of the server has it in its memory. */
export interface SessionOwner {
  readonly server: string;
  readonly instanceId: ServiceInstanceId;
  readonly userId: UserId;
}

/** What a client's session id stands for. */
export interface UnboundSession {
  /** As the server gave it. */
  readonly sessionId: string;
  readonly elicits: boolean;
}

/**
 * Binds the session id of a server (`Mcp-Session-Id`) to user, server and run of the server: what the client sees is
 * `<id>.<signature>`. A session is never authentication; with this it is not even a name that another user could use, and
 * one from before the server's restart is known for what it is. Nothing needs to be looked up: it holds over restarts of
 * the API and for every API process.
 */
export class SessionBinding {
  readonly #key: KeyObject;

  /** @param root the instance's identity root, 32 bytes */
  constructor(root: Uint8Array) {
    this.#key = createSecretKey(new Uint8Array(hkdfSync('sha256', root, new Uint8Array(0), 'mcp-session', 32)));
  }

  /** The session id as the client gets it. @param elicits whether its user can be asked something */
  bind(owner: SessionOwner, sessionId: string, elicits = false): string {
    return elicits
      ? `${sessionId}.${elicitsMark}${this.#mac(owner, sessionId, elicits)}`
      : `${sessionId}.${this.#mac(owner, sessionId, elicits)}`;
  }

  /** The session id as the server gave it; nothing when it was never given to this user by this run of this server. */
  unbind(owner: SessionOwner, bound: string): UnboundSession | undefined {
    const dot = bound.lastIndexOf('.');
    const elicits = bound.length - dot - 1 === macLength + 1 && bound[dot + 1] === elicitsMark;
    const start = elicits ? dot + 2 : dot + 1;
    if (dot <= 0 || bound.length - start !== macLength) return undefined;
    const sessionId = bound.slice(0, dot);
    const [want, have] = [Buffer.from(this.#mac(owner, sessionId, elicits)), Buffer.from(bound.slice(start))];
    return want.length === have.length && timingSafeEqual(want, have) ? { sessionId, elicits } : undefined;
  }

  #mac(owner: SessionOwner, sessionId: string, elicits: boolean): string {
    const text = elicits ? `${elicitsMark} ${said(owner, sessionId)}` : said(owner, sessionId);
    return createHmac('sha256', this.#key).update(text).digest('base64url').slice(0, macLength);
  }
}

/** The id under which the session is on record: every API process makes the same of it (RFC 9562, version 8). */
export function sessionRowId(owner: SessionOwner, sessionId: string): string {
  const hex = hash('sha256', `mcp-session ${said(owner, sessionId)}`, 'hex');
  const variant = '89ab'[Number.parseInt(hex[16] ?? '0', 16) % 4];
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}

function said({ server, instanceId, userId }: SessionOwner, sessionId: string): string {
  return JSON.stringify([server, instanceId, userId, sessionId]);
}
