/** What an author of an MCP server imports: `import { defineMcpServer, defineTool } from 'systemprompt/mcp'`. */
export type {
  CliArgument,
  CliCommand,
  CliFailure,
  CliFlag,
  CliManifest,
  CliPort,
  CliResult,
  CliRunOptions,
} from './lib/shared/cli-port.ts';
export type {
  McpServerDefinition,
  McpServerOptions,
  ReadyContext,
  ServerReadiness,
  ToolAnnotations,
  ToolContext,
  ToolDefinition,
  ToolLogger,
  ToolOptions,
} from './lib/shared/mcp-server.ts';
export { defineMcpServer, defineTool } from './lib/shared/mcp-server.ts';
export type { JsonSchema } from './lib/shared/portable-schema.ts';
