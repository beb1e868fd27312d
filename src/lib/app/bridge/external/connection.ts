import type { Asker, BackendListener, Hearer, PendingRequest, UpstreamCredentials } from '../backend.ts';
import type { JsonRpcMessage } from '../message.ts';
import type { Endpoint } from './endpoint.ts';

/** One legacy session at a server elsewhere, for one client or for clients that are alike. */
export interface LegacyConnection {
  /** The answer to `initialize`. */
  readonly initialized: Readonly<Record<string, unknown>>;
  /** For how long nothing has been asked of it, in ms; 0 while something is, or while a resource is watched. */
  readonly idleMs: number;
  /** Whether it can't be used any more. */
  readonly ended: boolean;
  /** Set when the server keeps a session under an id. */
  readonly sessionId: string | undefined;
  request(request: JsonRpcMessage, asker: Asker, hearer: Hearer): PendingRequest;
  notify(notification: JsonRpcMessage, asker: Asker): void;
  respond(response: JsonRpcMessage, asker: Asker): void;
  close(): Promise<void>;
}

export interface ConnectionOptions {
  readonly endpoint: Endpoint;
  /** The `params` of `initialize`. */
  readonly opened: Readonly<Record<string, unknown>>;
  readonly credentials: UpstreamCredentials | undefined;
  /** Most bytes of one message. */
  readonly limit: number;
  /** How long `initialize` may take, in ms. */
  readonly timeoutMs: number;
  readonly listener: Pick<BackendListener, 'onMessage'>;
  /** Whether it is for the session of one client alone; else its listener tells several, of which one may be meant. */
  readonly ofSession: boolean;
}

/** What is said of each connection that is opened. */
export type Connecting = Pick<ConnectionOptions, 'opened' | 'credentials' | 'listener' | 'ofSession'>;

/** What the bridge says of itself where no client is behind a connection. */
export function introduction(version: string): Readonly<Record<string, unknown>> {
  return {
    protocolVersion: '2025-11-25',
    capabilities: {},
    clientInfo: { name: 'systemprompt', title: 'systemprompt', version },
  };
}
