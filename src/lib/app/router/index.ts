export { Delegation } from './delegation.ts';
export { type McpGateway, type McpGatewayOptions, openMcpGateway } from './open.ts';
export { type RegistryServer, type RegistrySource, registryView } from './registry-view.ts';
export { createMcpRouter, type McpRouter, type McpRouterDeps } from './router.ts';
