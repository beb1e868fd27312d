import type { Queryable } from '../../infra/database/connection.ts';
import type { ToolArtifactsRow } from './tables.ts';

/** What a tool returned as an artifact. */
export interface NewArtifact {
  readonly executionId: string;
  readonly userId: string;
  readonly server: string;
  readonly tool: string;
  readonly type: string;
  readonly title?: string | undefined;
  /** Redacted; absent when it is larger than what is kept. */
  readonly artifact?: unknown;
  /** As the tool returned it. */
  readonly bytes: number;
}

export interface KeptArtifact extends NewArtifact {
  readonly createdAt: Date;
  readonly expiresAt: Date;
}

/** Keeps artifacts by one statement; those of users who are gone meanwhile are left out. */
export async function insertArtifacts(tx: Queryable, artifacts: readonly NewArtifact[], days: number): Promise<void> {
  await tx.query(
    `INSERT INTO tool_artifacts (execution_id, user_id, server, tool, type, title, artifact, bytes, expires_at)
     SELECT e, u, s, t, ty, ti, a, b, now() + make_interval(days => $2)
     FROM json_to_recordset($1::json) AS r(e uuid, u uuid, s text, t text, ty text, ti text, a jsonb, b integer)
     WHERE EXISTS (SELECT FROM users WHERE users.id = u)
     ON CONFLICT DO NOTHING`,
    [
      JSON.stringify(
        artifacts.map(({ executionId, userId, server, tool, type, title, artifact, bytes }) => ({
          e: executionId,
          u: userId,
          s: server,
          t: tool,
          ty: type,
          ti: title,
          a: artifact,
          b: bytes,
        })),
      ),
      days,
    ],
    { name: 'tool_artifacts_insert' },
  );
}

export async function findArtifact(tx: Queryable, executionId: string): Promise<KeptArtifact | undefined> {
  const [row] = await tx.query<ToolArtifactsRow>(
    'SELECT * FROM tool_artifacts WHERE execution_id = $1 AND expires_at > now()',
    [executionId],
  );
  return (
    row && {
      executionId: row.execution_id,
      userId: row.user_id,
      server: row.server,
      tool: row.tool,
      type: row.type,
      title: row.title ?? undefined,
      artifact: row.artifact ?? undefined,
      bytes: row.bytes,
      createdAt: row.created_at,
      expiresAt: row.expires_at,
    }
  );
}

/** Removes artifacts whose time is over, some at a time. */
export async function forgetArtifacts(tx: Queryable): Promise<void> {
  await tx.query(
    `DELETE FROM tool_artifacts WHERE execution_id IN
       (SELECT execution_id FROM tool_artifacts WHERE expires_at < now() LIMIT 1000)`,
  );
}
