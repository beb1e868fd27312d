import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Logger } from '../../infra/logging/logger.ts';
import type { Identity } from '../../infra/security/identity-header.ts';
import type { BackendFactory, Translate, UpstreamCredentials } from './backend.ts';
import type { JsonRpcMessage } from './message.ts';

export interface ServiceOptions {
  readonly factory: BackendFactory;
  readonly translate: Translate;
  /** Who shares an instance. */
  readonly instances: 'shared' | 'session' | 'user';
  /** Whether the server behind keeps sessions that outlive its instances here. */
  readonly sessionsElsewhere?: boolean;
  /** 0 for ever, in ms. */
  readonly idleStopMs: number;
  readonly instanceLimit: number;
  readonly sessionLimit: number;
  /** Of both, how many may be one user's. */
  readonly instancesPerUser?: number;
  readonly sessionsPerUser?: number;
  readonly sessionIdleMs: number;
  readonly keepAliveMs: number;
  readonly logger: Logger;
  /** Hears of every instance that has ended. */
  readonly onEnd?: () => void;
}

/** A request without a body. */
export interface Listening {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  readonly identity: Identity;
  readonly credentials: UpstreamCredentials | undefined;
}

/** One POST, read and understood. */
export interface Posted extends Listening {
  readonly body: Buffer;
  readonly message: JsonRpcMessage;
}
