import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import type { Identity } from '../../infra/security/identity-header.ts';
import type { UserId } from '../../shared/ids.ts';
import type { JsonRpcMessage } from './message.ts';

/** `legacy`: the revisions 2024-11-05 to 2025-11-25, which open with `initialize`; `modern`: 2026-07-28, without state. */
export type Era = 'legacy' | 'modern';

/**
 * What the API found out for one request: secrets of its user, or of a sign-in at the upstream. It comes with each
 * request that needs it in the header `x-systemprompt-upstream`, and is never logged.
 */
export interface UpstreamCredentials {
  /** For requests to a remote endpoint. */
  readonly headers: Readonly<Record<string, string>>;
  /** For the environment of a program of that user's own. */
  readonly variables: Readonly<Record<string, string>>;
  /** Differs as soon as it is another's, or another secret: a token that is renewed keeps it. */
  readonly key: string | undefined;
  /** Hears that the remote endpoint did not take the headers: 401 or 403, and its challenge. */
  readonly onRefused?: (status: number, challenge: string | undefined) => void;
}

/** Whose instance of the server behind it is. */
export type InstanceScope =
  | { readonly kind: 'shared' }
  | { readonly kind: 'session'; readonly session: string }
  | { readonly kind: 'user'; readonly user: UserId; readonly key: string | undefined };

/** What an instance is opened with. */
export interface Opening {
  /** The `params` of the client's `initialize`, when the instance is for this client's session alone. */
  readonly initialize?: Readonly<Record<string, unknown>>;
  readonly credentials?: UpstreamCredentials;
  /** As it came; only for a server behind that checks it itself. */
  readonly identityHeader?: string;
  readonly signal?: AbortSignal;
}

/** As which the API itself asks for a list of tools. */
export const systemUser = '00000000-0000-0000-0000-000000000000';

/** Who sends a message: a client by its request, not by its connection. */
export interface Asker {
  readonly identity: Identity;
  /** Id of the client's legacy session at the bridge; absent for single requests of either era. */
  readonly session: string | undefined;
  readonly era: Era;
  readonly credentials: UpstreamCredentials | undefined;
  /**
   * What the client says of itself: the `params` of its session's `initialize`. Absent for single requests; those of the
   * modern era say it in their own `_meta`.
   */
  readonly opened?: Readonly<Record<string, unknown>> | undefined;
  /** Of the request that the message came with: protocol version, `mcp-*`, trace context. */
  readonly headers: IncomingHttpHeaders;
}

/** Where the messages go that belong to one request. */
export interface Hearer {
  /** A notification, or a request of the server to the client, that comes before the answer. */
  onMessage(message: JsonRpcMessage): void;
  /** The answer, under the id that the request had. Called once, also when the instance ends: then with an error. */
  onAnswer(answer: JsonRpcMessage): void;
}

/** A request that has not been answered. */
export interface PendingRequest {
  /** The client wants no answer any more: the server is told, the hearer hears nothing further. */
  cancel(reason?: string): void;
}

/** Why and how an instance ended. */
export interface BackendEnded {
  /** For people, without secrets. */
  readonly message: string;
  readonly exitCode?: number | null;
  readonly signal?: string | null;
  /** The last lines of standard error, redacted and bounded. */
  readonly stderr?: string;
}

/** A whole HTTP exchange between the router and the bridge, for a server behind that speaks HTTP and the client's era. */
export interface HttpExchange {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  /** Absent for GET and DELETE. */
  readonly body: Buffer | undefined;
  readonly asker: Asker;
}

/**
 * One instance of the server behind, for all requests of its scope. It is opened: `initialize` or `server/discover` has been
 * answered. Requests bear the ids of their clients, of which several may be the same; to keep them apart is the backend's task.
 * Nothing here throws for what the server behind does: a fault comes as the answer of the request that it hit.
 */
export interface Backend {
  readonly era: Era;
  /** Its answer to `initialize` (legacy) or to `server/discover` (modern). */
  readonly initialized: Readonly<Record<string, unknown>>;
  request(request: JsonRpcMessage, asker: Asker, hearer: Hearer): PendingRequest;
  /** Anything but `notifications/cancelled` of a request, which comes as {@link PendingRequest.cancel}. */
  notify(notification: JsonRpcMessage, asker: Asker): void;
  /** A client's answer to a request that the server made by {@link Hearer.onMessage} or {@link BackendListener.onMessage}. */
  respond(response: JsonRpcMessage, asker: Asker): void;
  /**
   * Set when it speaks HTTP itself: takes an exchange in its own era as it is, bytes and all. Resolves when it is over.
   */
  relay?(exchange: HttpExchange): Promise<void>;
  /** Whether {@link relay} takes single legacy requests as well, outside of a session. */
  readonly relaysSingle?: boolean;
  /** The same server in the other era, when it speaks both by itself: its clients of that era get it as it is. */
  readonly other?: Backend;
  /** Finds out whether there is such, before the first client of the other era; absent when that is known. */
  readonly prepare?: (() => Promise<void>) | undefined;
  /** The legacy session of a client is over, or its client is gone for good. */
  forget?(session: string): void;
  close(): Promise<void>;
}

/** Hears what an instance says beside its answers. */
export interface BackendListener {
  /**
   * What belongs to no request.
   * @param session the legacy session that it is for, if the backend knows; else for whom it may concern
   */
  onMessage(message: JsonRpcMessage, session?: string): void;
  /** Once; requests that were pending have been answered with an error before. */
  onEnd(reason: BackendEnded): void;
}

/** Makes instances: a program on standard input and output, a program that speaks HTTP, a remote endpoint. */
export interface BackendFactory {
  /**
   * @throws AppError when there is no instance to be had; it becomes the JSON-RPC error of whoever asked
   */
  open(scope: InstanceScope, opening: Opening, listener: BackendListener): Promise<Backend>;
}

/** A backend of another era, as clients of this one see it. */
export interface Translated extends Backend {
  /** What the backend behind says beside its answers comes in here; what of it concerns the clients goes to their listener. */
  readonly hears: BackendListener;
}

/**
 * Between a client and a backend of another era. Made once for each backend and era, so it may keep what has to outlive a
 * request (a question of the server that waits for its answer); it looks like a backend of the client's era.
 * @param listener of the clients of that era
 */
export type Translate = (backend: Backend, to: Era, listener: BackendListener) => Translated;
