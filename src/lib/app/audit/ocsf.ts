import type { AuditEntry } from '../../domain/governance/index.ts';

/** Of the Open Cybersecurity Schema Framework, whose class API Activity (6003) a tool call is. */
const ocsfVersion = '1.3.0';

/** Nothing that a call does is known to be one of create, read, update, delete. */
const otherActivity = 99;
const statuses: Readonly<Record<string, { readonly id: number; readonly name: string }>> = {
  success: { id: 1, name: 'Success' },
  open: { id: 0, name: 'Unknown' },
  interrupted: { id: 0, name: 'Unknown' },
};
const failure = { id: 2, name: 'Failure' };

/** One tool call as an event of OCSF. @param version of the product */
export function toOcsf(entry: AuditEntry, version: string): Record<string, unknown> {
  const status = statuses[entry.status] ?? failure;
  const began = entry.startedAt.getTime();
  return {
    metadata: {
      version: ocsfVersion,
      product: { name: 'systemprompt', vendor_name: 'systemprompt', version },
      uid: entry.executionId,
      log_name: 'audit.tool_intents',
    },
    category_uid: 6,
    category_name: 'Application Activity',
    class_uid: 6003,
    class_name: 'API Activity',
    activity_id: otherActivity,
    activity_name: 'Call tool',
    type_uid: 6003 * 100 + otherActivity,
    type_name: 'API Activity: Call tool',
    severity_id: entry.decision === 'refused' ? 2 : 1,
    severity: entry.decision === 'refused' ? 'Low' : 'Informational',
    status_id: status.id,
    status: status.name,
    status_code: entry.status,
    ...(entry.error === undefined ? {} : { status_detail: entry.error }),
    time: began,
    start_time: began,
    ...(entry.recordedAt === undefined ? {} : { end_time: entry.recordedAt.getTime() }),
    ...(entry.latencyUs === undefined ? {} : { duration: Math.round(entry.latencyUs / 1000) }),
    actor: {
      user: { uid: entry.userId, name: entry.userName },
      session: { uid: entry.sessionId },
      ...(entry.client === undefined ? {} : { app_name: entry.client }),
    },
    api: {
      operation: `tools/call ${entry.tool}`,
      service: { name: entry.server },
      request: { uid: entry.executionId, data: entry.input },
      ...(entry.status === 'open' ? {} : { response: { code: status.id === 1 ? 0 : 1, message: entry.status } }),
    },
    // A call is bound to a sign-in; the address behind it is in the audit of identity.
    src_endpoint: { uid: entry.sessionId, ...(entry.client === undefined ? {} : { name: entry.client }) },
    resources: [{ name: entry.tool, type: 'MCP tool', group: { name: entry.server } }],
    unmapped: {
      decision: entry.decision,
      scopes_required: entry.required,
      scopes_held: entry.scopes,
      input_sha256: entry.inputDigest,
      ...(entry.outputDigest === undefined ? {} : { output_sha256: entry.outputDigest }),
      ...(entry.outputBytes === undefined ? {} : { output_bytes: entry.outputBytes }),
    },
  };
}
