import type { SessionId, UserId } from '../../../shared/ids.ts';
import type { OauthClientsRow } from '../tables.ts';

export type ClientKind = OauthClientsRow['kind'];
export type ClientStatus = OauthClientsRow['status'];

/** What a client says of itself, by the names of RFC 7591 section 2; never a secret. */
export type ClientMetadata = Readonly<Record<string, unknown>>;

/** The id of our own command line. */
export const cliClientId = 'systemprompt-cli';

/** Who may ask for tokens. */
export interface OauthClient {
  readonly id: string;
  readonly kind: ClientKind;
  readonly name: string;
  readonly metadata: ClientMetadata;
  /** The service account that it is. */
  readonly userId?: UserId;
  /** The session in the tokens of the service account. */
  readonly sessionId?: SessionId;
  /** The resource server that it is: it may introspect and exchange tokens for that one alone. */
  readonly server?: string;
  /** Servers that it may get tokens for by itself: of its own account, or in exchange for its callers'. */
  readonly targets: readonly string[];
  readonly status: ClientStatus;
  readonly createdAt: Date;
  /** To the minute. */
  readonly lastUsedAt?: Date;
  /** The address that registered it. */
  readonly registeredFrom?: string;
}

/** A client as the authorization server keeps it in memory. */
export interface KnownClient extends OauthClient {
  /** SHA-256 of the secrets that are live, two at most, with the time at which each ends. */
  readonly secrets: readonly { readonly hash: Buffer; readonly expiresAt?: Date }[];
}

export function toClient(row: OauthClientsRow): OauthClient {
  return {
    id: row.id,
    kind: row.kind,
    name: row.name,
    metadata: row.metadata as ClientMetadata,
    ...(row.user_id === null ? {} : { userId: row.user_id as UserId }),
    ...(row.session_id === null ? {} : { sessionId: row.session_id as SessionId }),
    ...(row.server === null ? {} : { server: row.server }),
    targets: row.targets,
    status: row.status,
    createdAt: row.created_at,
    ...(row.last_used_at === null ? {} : { lastUsedAt: row.last_used_at }),
    ...(row.registered_from === null ? {} : { registeredFrom: row.registered_from }),
  };
}
