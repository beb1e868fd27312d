import type { McpServerConfig } from '../../src/lib/domain/mcp/index.ts';

/** An MCP server as the configuration has it. */
export function serverConfig(more: Partial<McpServerConfig> = {}): McpServerConfig {
  return {
    name: 'alpha',
    kind: 'internal',
    module: 'x',
    moduleAt: { file: 'services/mcp/alpha.yaml', line: 3, column: 13 },
    port: 5_000,
    enabled: true,
    devOnly: false,
    displayName: 'Alpha',
    description: 'For tests',
    displayInWeb: true,
    delegate: false,
    oauth: { required: true, scopes: ['user'] },
    tools: new Map(),
    env: {},
    variables: [],
    variablesAt: {},
    inheritedEnv: [],
    limits: {},
    toolPolicy: 'auto',
    breaker: { failures: 5, cooldownMs: 10_000 },
    ...more,
  };
}
