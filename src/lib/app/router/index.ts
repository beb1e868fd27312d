export { type McpGateway, type McpGatewayOptions, openMcpGateway } from './open.ts';
export type { RegistryServer, RegistrySource } from './registry-view.ts';
export type { McpRouter, McpRouterDeps, McpWay } from './router.ts';
