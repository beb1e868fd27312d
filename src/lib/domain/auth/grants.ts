import type { Queryable } from '../../infra/database/connection.ts';
import type { UserId } from '../../shared/ids.ts';
import type { AccessGrantsRow } from './tables.ts';

export type GrantSubjectType = AccessGrantsRow['subject_type'];

/** To whom: a user by id, a role, an agent by name, a client by id. */
export interface GrantSubject {
  readonly type: GrantSubjectType;
  readonly id: string;
}

/** A named scope of one server that somebody was given. */
export interface Grant {
  readonly id: string;
  readonly subject: GrantSubject;
  /** Of a user: the name. */
  readonly subjectName: string;
  readonly server: string;
  readonly scope: string;
  /** The tool that it was given for, when it was asked for so. */
  readonly tool?: string;
  /** Names of those who gave and took it. */
  readonly createdBy: string;
  readonly createdAt: Date;
  readonly revokedBy?: string;
  readonly revokedAt?: Date;
}

export interface GrantFilter {
  readonly id?: string | undefined;
  readonly subject?: GrantSubject | undefined;
  readonly server?: string | undefined;
  readonly scopes?: readonly string[] | undefined;
  /** Revoked ones too. */
  readonly all?: boolean | undefined;
  /** 1000 unless told; null: all of them. */
  readonly limit?: number | null | undefined;
}

interface GrantRow extends AccessGrantsRow {
  readonly subject_name: string | null;
  readonly created_by_name: string | null;
  readonly revoked_by_name: string | null;
}

/** Grants by server, subject and scope; those in force unless told. */
export async function listGrants(connection: Queryable, filter: GrantFilter): Promise<Grant[]> {
  const rows = await connection.query<GrantRow>(
    `SELECT g.*, s.name AS subject_name, c.name AS created_by_name, r.name AS revoked_by_name
     FROM access_grants g
     LEFT JOIN users s ON g.subject_type = 'user' AND s.id::text = g.subject
     LEFT JOIN users c ON c.id = g.created_by
     LEFT JOIN users r ON r.id = g.revoked_by
     WHERE ($1::uuid IS NULL OR g.id = $1) AND ($2::text IS NULL OR g.subject_type = $2)
       AND ($3::text IS NULL OR g.subject = $3) AND ($4::text IS NULL OR g.server = $4)
       AND ($5::text[] IS NULL OR g.scope = ANY ($5)) AND ($6 OR g.revoked_at IS NULL)
     ORDER BY g.server, g.subject_type, coalesce(s.name, g.subject), g.scope, g.created_at LIMIT $7`,
    [
      filter.id ?? null,
      filter.subject?.type ?? null,
      filter.subject?.id ?? null,
      filter.server ?? null,
      filter.scopes ?? null,
      filter.all === true,
      filter.limit === undefined ? 1000 : filter.limit,
    ],
  );
  return rows.map(toGrant);
}

/** Adds a grant. @returns its id; undefined when there is one in force already */
export async function insertGrant(
  connection: Queryable,
  grant: {
    readonly subject: GrantSubject;
    readonly server: string;
    readonly scope: string;
    readonly tool?: string | undefined;
    readonly by: UserId;
  },
): Promise<string | undefined> {
  const [row] = await connection.query<{ id: string }>(
    `INSERT INTO access_grants (subject_type, subject, server, scope, tool, created_by) VALUES ($1, $2, $3, $4, $5, $6)
     ON CONFLICT (subject_type, subject, server, scope) WHERE revoked_at IS NULL DO NOTHING RETURNING id`,
    [grant.subject.type, grant.subject.id, grant.server, grant.scope, grant.tool ?? null, grant.by],
  );
  return row?.id;
}

/** Takes grants back. @returns the ids of those that were in force */
export async function revokeGrants(connection: Queryable, ids: readonly string[], by: UserId): Promise<string[]> {
  const rows = await connection.query<{ id: string }>(
    `UPDATE access_grants SET revoked_at = now(), revoked_by = $2
     WHERE id = ANY ($1::uuid[]) AND revoked_at IS NULL RETURNING id`,
    [ids, by],
  );
  return rows.map(({ id }) => id);
}

function toGrant(row: GrantRow): Grant {
  return {
    id: row.id,
    subject: { type: row.subject_type, id: row.subject },
    subjectName: row.subject_name ?? row.subject,
    server: row.server,
    scope: row.scope,
    ...(row.tool === null ? {} : { tool: row.tool }),
    createdBy: row.created_by_name ?? row.created_by,
    createdAt: row.created_at,
    ...(row.revoked_at === null ? {} : { revokedAt: row.revoked_at }),
    ...(row.revoked_by === null ? {} : { revokedBy: row.revoked_by_name ?? row.revoked_by }),
  };
}
