import type { PreparedStatement } from '../../infra/database/dedicated.ts';
import type { IntentRow, OutcomeRow } from './rows.ts';

/*
 * The writer's SQL. Rows travel as one JSON array, so that a statement has one parameter however many rows wait and is
 * prepared once (measured: as fast as a VALUES list of the same length, faster than unnest of one array a column).
 * `ON CONFLICT DO NOTHING` without a target makes a repetition harmless and asks for no SELECT.
 */

const insertIntents = (parameter: string) => `
  INSERT INTO audit.tool_intents (execution_id, api_instance, server, tool, user_id, user_name, session_id, client, scopes,
    required, input_digest, input, decision, started_at, via, policy, trace_id)
  SELECT e, i, s, t, u, n, sid, c, sc, rq, d, inp, dc, to_timestamp(at / 1000.0), v, p, tr
  FROM json_to_recordset(${parameter}::json) AS r(e uuid, i uuid, s text, t text, u text, n text, sid text, c text, sc text[],
    rq text[], d text, inp jsonb, dc text, at double precision, v text, p jsonb, tr text)
  ON CONFLICT DO NOTHING`;

const insertOutcomes = (parameter: string) => `
  INSERT INTO audit.tool_outcomes (execution_id, status, error, output_digest, output_bytes, latency_us, upstream_us, policy)
  SELECT e, s, er, d, b, l, u, p
  FROM json_to_recordset(${parameter}::json) AS r(e uuid, s text, er text, d text, b bigint, l bigint, u bigint, p jsonb)
  ON CONFLICT DO NOTHING`;

export const writeIntents: PreparedStatement = { name: 'audit_intents', text: insertIntents('$1') };
export const writeOutcomes: PreparedStatement = { name: 'audit_outcomes', text: insertOutcomes('$1') };
/** Both in one commit; the row count is that of the outcomes. */
export const writeBoth: PreparedStatement = {
  name: 'audit_both',
  text: `WITH intents AS (${insertIntents('$1')}) ${insertOutcomes('$2')}`,
};

/** Held as long as the connection lives; `audit.close_interrupted` waits for it. */
export const holdWriterLock: PreparedStatement = {
  name: 'audit_lock',
  text: `SELECT pg_advisory_lock_shared(hashtextextended('systemprompt.audit.writer:' || $1::uuid::text, 0))`,
};
export const registerWriter: PreparedStatement = {
  name: 'audit_register',
  text: 'INSERT INTO audit.writers (instance) VALUES ($1) ON CONFLICT DO NOTHING',
};

/** One intent as an element of the JSON array. */
export function intentJson(row: IntentRow, instance: string): string {
  // The input is JSON text already, and parsing it again to write it again would cost most of all.
  return (
    `{"e":"${row.executionId}","i":"${instance}","s":${JSON.stringify(row.server)},"t":${JSON.stringify(row.tool)},` +
    `"u":${JSON.stringify(row.userId)},"n":${JSON.stringify(row.userName)},"sid":${JSON.stringify(row.sessionId)},` +
    `"c":${JSON.stringify(row.client)},"sc":${JSON.stringify(row.scopes)},"rq":${JSON.stringify(row.required)},` +
    `"d":"${row.inputDigest}","inp":${row.inputJson},"dc":"${row.decision}","at":${row.startedAt}` +
    `${row.via === undefined ? '' : `,"v":${JSON.stringify(row.via)}`}` +
    `${row.policyJson === undefined ? '' : `,"p":${row.policyJson}`}` +
    `${row.traceId === undefined ? '' : `,"tr":"${row.traceId}"`}}`
  );
}

export function outcomeJson(row: OutcomeRow): string {
  const fields = JSON.stringify({
    e: row.executionId,
    s: row.status,
    er: row.error,
    d: row.outputDigest,
    b: row.outputBytes,
    l: row.latencyUs,
    u: row.upstreamUs,
  });
  return row.policyJson === undefined ? fields : `${fields.slice(0, -1)},"p":${row.policyJson}}`;
}
