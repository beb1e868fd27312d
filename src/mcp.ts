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
export { artifactView } from './lib/shared/mcp/artifact-view.ts';
export type {
  Answer,
  DeclaredVariables,
  Question,
  RequestContext,
  Sample,
  SampleRequest,
  ServerDatabase,
  ServerStatements,
  SpanFacts,
  ToolContext,
  ToolLogger,
  UrlAnswer,
  UrlQuestion,
  WorkSpan,
} from './lib/shared/mcp/context.ts';
export type { ToolHookCall, ToolHookContext, ToolHookFunction, ToolHookVerdict } from './lib/shared/mcp/hook.ts';
export type {
  Completer,
  PromptArgument,
  PromptDefinition,
  PromptMessage,
  PromptOptions,
  PromptResult,
} from './lib/shared/mcp/prompt.ts';
export { definePrompt } from './lib/shared/mcp/prompt.ts';
export type {
  ListedResource,
  ResourceContent,
  ResourceDefinition,
  ResourceOptions,
  ResourceTemplateDefinition,
  ResourceTemplateOptions,
  UiContentSecurity,
  UiResourceDefinition,
  UiResourceOptions,
  UriVariables,
} from './lib/shared/mcp/resource.ts';
export { defineResource, defineResourceTemplate, defineUiResource } from './lib/shared/mcp/resource.ts';
export type { McpServerDefinition, McpServerOptions, ReadyContext, ServerReadiness } from './lib/shared/mcp/server.ts';
export { defineMcpServer } from './lib/shared/mcp/server.ts';
export type { ToolAnnotations, ToolDefinition, ToolExample, ToolOptions } from './lib/shared/mcp/tool.ts';
export { defineTool } from './lib/shared/mcp/tool.ts';
export type { UriTemplate } from './lib/shared/mcp/uri-template.ts';
export type { JsonSchema } from './lib/shared/portable-schema.ts';
