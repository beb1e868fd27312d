import type { Era } from '../backend.ts';

/**
 * The revision of the modern era that is spoken here. Up to 2025-11-25 a client opens a session (`initialize`) and the
 * server may ask it things; from 2026-07-28 on each request stands alone and says in its `_meta` who sends it (SEP-2567,
 * SEP-2575).
 */
export const modernRevision = '2026-07-28';

/** The revisions of the legacy era, the newest first. */
export const legacyRevisions = ['2025-11-25', '2025-06-18', '2025-03-26', '2024-11-05'] as const;

/** Keys of `_meta` that belong to the protocol (MCP 2026-07-28, basic/index). */
export const metaKey = {
  protocolVersion: 'io.modelcontextprotocol/protocolVersion',
  clientInfo: 'io.modelcontextprotocol/clientInfo',
  clientCapabilities: 'io.modelcontextprotocol/clientCapabilities',
  logLevel: 'io.modelcontextprotocol/logLevel',
  serverInfo: 'io.modelcontextprotocol/serverInfo',
  subscriptionId: 'io.modelcontextprotocol/subscriptionId',
} as const;

/** The extension that tasks are since 2026-07-28 (SEP-2663). */
export const tasksExtension = 'io.modelcontextprotocol/tasks';

/** JSON-RPC codes that MCP gives a meaning of its own. */
export const errorCode = {
  parse: -32_700,
  invalidRequest: -32_600,
  methodNotFound: -32_601,
  invalidParams: -32_602,
  internal: -32_603,
  /** A resource that is not there, up to 2025-11-25. */
  resourceNotFound: -32_002,
  /** A header says something else than the body. */
  headerMismatch: -32_020,
  missingClientCapability: -32_021,
  unsupportedVersion: -32_022,
  /** Something has to be done at a page first: 2025-11-25 alone; since then the client is asked. */
  urlElicitationRequired: -32_042,
} as const;

/** What requests of each era may be, as far as they differ. */
const modernOnly: ReadonlySet<string> = new Set(['server/discover', 'subscriptions/listen']);
const legacyOnly: ReadonlySet<string> = new Set([
  'initialize',
  'ping',
  'logging/setLevel',
  'resources/subscribe',
  'resources/unsubscribe',
]);

/** Whether a method is part of the other era alone, for clients that meet a server of that one; tasks don't cross. */
export function isForeign(method: string, era: Era): boolean {
  if (method.startsWith('tasks/')) return true;
  return (era === 'modern' ? legacyOnly : modernOnly).has(method);
}

/** The revision that an `initialize` is answered with: the one asked for where it is spoken, else the newest. */
export function negotiate(requested: unknown): string {
  return legacyRevisions.find((revision) => revision === requested) ?? legacyRevisions[0];
}
