import type { Extension } from '../../shared/extension.ts';
import { mcpFileSchema } from './config.ts';

export { type McpServerYaml, mcpServersSchema } from './config.ts';
export type { McpServerKind } from './config-kinds.ts';
export type { McpBreaker, McpRateLimit } from './config-limits.ts';
export type { McpSchemas } from './config-schemas.ts';
export type { UpstreamAuthConfig } from './config-upstream.ts';
export type { VirtualTarget, VirtualTool } from './config-virtual.ts';
export { type HookEvent, hookEvents, isPlainMatcher, type ToolHook, toolHooksSchema } from './hooks.ts';
export { visible } from './injection/normalise.ts';
export { scanTool, scanVersion } from './injection/scan.ts';
export { type McpIssuer, type McpOauth, type ScopeDetails, tiersFor } from './oauth.ts';
export {
  hasProcess,
  isBridged,
  listsByUser,
  type McpCommand,
  type McpExternal,
  type McpProcess,
  type McpServerConfig,
  type McpToolConfig,
  sourceField,
  toServerConfig,
} from './server-config.ts';
export {
  forgetServerLogs,
  insertServerLogs,
  newestServerLogs,
  type ServerLogLine,
  serverLogLineLength,
  serverLogsBetween,
} from './server-logs.ts';
export {
  claimUnsettled,
  endedAmong,
  endIdle,
  endMcpSessions,
  endOfFormerRuns,
  endSettled,
  forgetSessions,
  type ListedMcpSession,
  listMcpSessions,
  type McpSessionFilter,
  recordSessions,
  type ServedSession,
  type SessionEnd,
  type SessionTransport,
  type UnsettledSession,
} from './sessions.ts';
export { decide, type ToolPolicy } from './tool-decision.ts';
export { type ReadTool, readTool, readTools } from './tool-reading.ts';
export * from './tool-repository.ts';
export type { Catalogue, CatalogueTool, Finding, Judged, ListSource, Observed, RawTool } from './tools.ts';
export * from './upstream-grants.ts';
export {
  credentialsOf,
  deleteCredentials,
  type KeptCredential,
  keptCredentials,
  lockAllCredentials,
  type SealedCredential,
  writeCredential,
} from './user-credentials.ts';
export { endForms, eraseForms, readUserTools, refusedForm, type UserToolList, writeUserTools } from './user-tools.ts';
export type { McpVariable } from './variables.ts';

/** Path of a server's endpoint at the API, without the origin. */
export function mcpEndpointPath(serverName: string): string {
  return `/api/v1/mcp/${serverName}/mcp`;
}

/** Which MCP servers there are, who may call them, and which tools they have. */
export const mcp: Extension = {
  id: 'mcp',
  version: '1.0.0',
  dependencies: ['auth'],
  migrations: 'mcp',
  config: { folder: 'mcp', schema: mcpFileSchema },
};
