import type { Queryable } from '../../infra/database/connection.ts';
import type { UserId } from '../../shared/ids.ts';

/** Whose sign-in at a server elsewhere it is; without a user that of the instance, for all callers. */
export interface GrantOwner {
  readonly server: string;
  readonly userId: UserId | undefined;
}

/** What is known of a sign-in at a server elsewhere, beside its tokens. */
export interface UpstreamGrant extends GrantOwner {
  readonly id: string;
  readonly issuer: string;
  readonly resource: string;
  readonly clientId: string;
  readonly scopes: readonly string[];
  /** What the server asked for since. */
  readonly wanted: readonly string[];
  readonly refreshable: boolean;
  readonly issuedAt: Date;
  readonly expiresAt: Date | undefined;
  /** `refused`: nothing of it is taken any more. */
  readonly state: 'good' | 'refused';
  readonly revision: number;
  readonly connectedAt: Date;
}

export interface SealedGrant extends UpstreamGrant {
  /** A compact JWE. */
  readonly sealed: string;
}

/** Tokens as they are kept. */
export interface KeptTokens {
  readonly scopes: readonly string[];
  readonly sealed: string;
  readonly refreshable: boolean;
  /** How long the access token is good, in seconds; undefined: not told. */
  readonly seconds: number | undefined;
}

interface Row extends Omit<SealedGrant, 'userId' | 'expiresAt'> {
  readonly userId: UserId | null;
  readonly expiresAt: Date | null;
}

const facts = `id, server, user_id AS "userId", issuer, resource, client_id AS "clientId", scopes, wanted, refreshable,
  issued_at AS "issuedAt", expires_at AS "expiresAt", state, revision, connected_at AS "connectedAt"`;
const ofOwner = 'server = $1 AND user_id IS NOT DISTINCT FROM $2';

const fromRow = ({ userId, expiresAt, ...row }: Row): SealedGrant => ({
  ...row,
  userId: userId ?? undefined,
  expiresAt: expiresAt ?? undefined,
});

export async function findGrant(
  connection: Queryable,
  { server, userId }: GrantOwner,
): Promise<SealedGrant | undefined> {
  const [row] = await connection.query<Row>(
    `SELECT ${facts}, sealed FROM mcp.upstream_grants WHERE ${ofOwner}`,
    [server, userId ?? null],
    { name: 'mcp-grant-read' },
  );
  return row === undefined ? undefined : fromRow(row);
}

/** A user's sign-ins at all servers, or those of the instance. */
export async function grantsOf(connection: Queryable, userId: UserId | undefined): Promise<UpstreamGrant[]> {
  const rows = await connection.query<Row>(
    `SELECT ${facts}, '' AS sealed FROM mcp.upstream_grants WHERE user_id IS NOT DISTINCT FROM $1 ORDER BY server`,
    [userId ?? null],
  );
  return rows.map(fromRow);
}

/** Puts a new sign-in in the place of what was there. @param id as its tokens were sealed for */
export async function putGrant(
  connection: Queryable,
  grant: Pick<UpstreamGrant, 'id' | 'server' | 'userId' | 'issuer' | 'resource' | 'clientId'> & KeptTokens,
): Promise<void> {
  const { id, server, userId, issuer, resource, clientId, scopes, sealed, refreshable, seconds } = grant;
  // One statement: two answers that come at once both find a place, and the later one stays.
  await connection.query(
    `INSERT INTO mcp.upstream_grants (id, server, user_id, issuer, resource, client_id, scopes, sealed, refreshable, expires_at)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, now() + make_interval(secs => $10))
     ON CONFLICT (server, user_id) DO UPDATE SET id = EXCLUDED.id, issuer = EXCLUDED.issuer, resource = EXCLUDED.resource,
       client_id = EXCLUDED.client_id, scopes = EXCLUDED.scopes, wanted = '{}', sealed = EXCLUDED.sealed,
       refreshable = EXCLUDED.refreshable, issued_at = now(), expires_at = EXCLUDED.expires_at, state = 'good', revision = 0,
       renewing_until = NULL, refused_at = NULL, connected_at = now()`,
    [id, server, userId ?? null, issuer, resource, clientId, scopes, sealed, refreshable, seconds ?? null],
  );
}

/**
 * Takes it upon this process to renew a sign-in. Of several one gets it; the others wait for what it writes.
 * @param seconds after which somebody else may
 */
export async function claimRenewal(
  connection: Queryable,
  { id, revision }: Pick<UpstreamGrant, 'id' | 'revision'>,
  seconds: number,
): Promise<boolean> {
  const rows = await connection.query(
    `UPDATE mcp.upstream_grants SET renewing_until = now() + make_interval(secs => $3)
     WHERE id = $1 AND revision = $2 AND state = 'good' AND (renewing_until IS NULL OR renewing_until < now()) RETURNING id`,
    [id, revision, seconds],
  );
  return rows.length === 1;
}

/** Writes what a renewal gave. @returns whether the sign-in was still the same */
export async function renewGrant(
  connection: Queryable,
  { id, revision }: Pick<UpstreamGrant, 'id' | 'revision'>,
  { scopes, sealed, refreshable, seconds }: KeptTokens,
): Promise<boolean> {
  const rows = await connection.query(
    `UPDATE mcp.upstream_grants SET scopes = $3, sealed = $4, refreshable = $5, issued_at = now(), renewing_until = NULL,
       expires_at = now() + make_interval(secs => $6), revision = revision + 1
     WHERE id = $1 AND revision = $2 RETURNING id`,
    [id, revision, scopes, sealed, refreshable, seconds ?? null],
  );
  return rows.length === 1;
}

/** A renewal came to nothing. @param lost whether the sign-in is worth nothing any more */
export async function endRenewal(
  connection: Queryable,
  { id, revision }: Pick<UpstreamGrant, 'id' | 'revision'>,
  lost: boolean,
): Promise<void> {
  await connection.query(
    `UPDATE mcp.upstream_grants SET renewing_until = NULL, state = CASE WHEN $3 THEN 'refused' ELSE state END,
       revision = revision + CASE WHEN $3 THEN 1 ELSE 0 END
     WHERE id = $1 AND revision = $2`,
    [id, revision, lost],
  );
}

/**
 * The server took a token for none that should have been good: it is renewed before its next use. One that can't be, or was
 * a minute ago for the same reason, is worth nothing. While it is being renewed it says nothing new: what the renewal gives
 * would be lost, and the refresh token with it.
 */
export async function refuseGrant(
  connection: Queryable,
  { id, revision }: Pick<UpstreamGrant, 'id' | 'revision'>,
): Promise<void> {
  await connection.query(
    `UPDATE mcp.upstream_grants SET expires_at = now(), refused_at = now(), revision = revision + 1,
       state = CASE WHEN NOT refreshable OR refused_at > now() - interval '1 minute' THEN 'refused' ELSE state END
     WHERE id = $1 AND revision = $2 AND (renewing_until IS NULL OR renewing_until < now())`,
    [id, revision],
  );
}

/** The server wants more than the token has. */
export async function wantScopes(connection: Queryable, id: string, scopes: readonly string[]): Promise<void> {
  await connection.query(
    `UPDATE mcp.upstream_grants
     SET wanted = (SELECT coalesce(array_agg(DISTINCT one), '{}') FROM (
       SELECT unnest(wanted || $2::text[]) AS one LIMIT 100) AS all_of_them)
     WHERE id = $1 AND NOT wanted @> $2::text[]`,
    [id, scopes],
  );
}

/** @returns what is gone, for it to be revoked */
export async function deleteGrant(
  connection: Queryable,
  { server, userId }: GrantOwner,
): Promise<SealedGrant | undefined> {
  const [row] = await connection.query<Row>(
    `DELETE FROM mcp.upstream_grants WHERE ${ofOwner} RETURNING ${facts}, sealed`,
    [server, userId ?? null],
  );
  return row === undefined ? undefined : fromRow(row);
}

/** Seals everything anew: of sign-ins and of registrations. @returns how many */
export async function resealGrants(tx: Queryable, reseal: (sealed: string) => Promise<string>): Promise<number> {
  const grants = await tx.query<{ id: string; sealed: string }>(
    'SELECT id, sealed FROM mcp.upstream_grants FOR UPDATE',
  );
  for (const { id, sealed } of grants) {
    await tx.query('UPDATE mcp.upstream_grants SET sealed = $2 WHERE id = $1', [id, await reseal(sealed)]);
  }
  const clients = await tx.query<{ server: string; issuer: string; sealed: string }>(
    'SELECT server, issuer, sealed FROM mcp.upstream_clients WHERE sealed IS NOT NULL FOR UPDATE',
  );
  for (const { server, issuer, sealed } of clients) {
    await tx.query('UPDATE mcp.upstream_clients SET sealed = $3 WHERE server = $1 AND issuer = $2', [
      server,
      issuer,
      await reseal(sealed),
    ]);
  }
  return grants.length + clients.length;
}

/** What the instance is registered as at an authorization server elsewhere. */
export interface SealedClient {
  readonly clientId: string;
  readonly redirectUri: string;
  readonly method: 'client_secret_basic' | 'client_secret_post' | 'none';
  readonly sealed: string | null;
  readonly expiresAt: Date | null;
}

export async function findUpstreamClient(
  connection: Queryable,
  server: string,
  issuer: string,
): Promise<SealedClient | undefined> {
  const [row] = await connection.query<SealedClient>(
    `SELECT client_id AS "clientId", redirect_uri AS "redirectUri", auth_method AS method, sealed, expires_at AS "expiresAt"
     FROM mcp.upstream_clients WHERE server = $1 AND issuer = $2`,
    [server, issuer],
  );
  return row;
}

export async function putUpstreamClient(
  connection: Queryable,
  server: string,
  issuer: string,
  { clientId, redirectUri, method, sealed, expiresAt }: SealedClient,
): Promise<void> {
  await connection.query(
    `INSERT INTO mcp.upstream_clients (server, issuer, client_id, redirect_uri, auth_method, sealed, expires_at)
     VALUES ($1, $2, $3, $4, $5, $6, $7)
     ON CONFLICT (server, issuer) DO UPDATE SET client_id = EXCLUDED.client_id, redirect_uri = EXCLUDED.redirect_uri,
       auth_method = EXCLUDED.auth_method, sealed = EXCLUDED.sealed, expires_at = EXCLUDED.expires_at, created_at = now()`,
    [server, issuer, clientId, redirectUri, method, sealed, expiresAt],
  );
}

/** A sign-in on its way: who began it in which browser, and who was asked for what. */
export interface UpstreamAttempt {
  readonly userId: UserId;
  readonly server: string;
  /** Whether it is for all callers. */
  readonly shared: boolean;
  readonly issuer: string;
  readonly resource: string;
  readonly clientId: string;
  readonly scopes: readonly string[];
}

/** @param hash of the state @param browser hash of what the browser carries */
export async function beginAttempt(
  connection: Queryable,
  hash: Buffer,
  browser: Buffer,
  attempt: UpstreamAttempt,
  seconds: number,
): Promise<void> {
  const { userId, server, shared, issuer, resource, clientId, scopes } = attempt;
  await connection.query('DELETE FROM mcp.upstream_attempts WHERE expires_at < now()');
  await connection.query(
    `INSERT INTO mcp.upstream_attempts (hash, browser, user_id, server, shared, issuer, resource, client_id, scopes, expires_at)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, now() + make_interval(secs => $10))`,
    [hash, browser, userId, server, shared, issuer, resource, clientId, scopes, seconds],
  );
}

/** Takes an attempt, once. That of another browser stays good for its own. */
export async function takeAttempt(
  connection: Queryable,
  hash: Buffer,
  browser: Buffer,
): Promise<UpstreamAttempt | undefined> {
  const [row] = await connection.query<UpstreamAttempt>(
    `DELETE FROM mcp.upstream_attempts WHERE hash = $1 AND browser = $2 AND expires_at > now()
     RETURNING user_id AS "userId", server, shared, issuer, resource, client_id AS "clientId", scopes`,
    [hash, browser],
  );
  return row;
}
