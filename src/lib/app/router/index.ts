export type { McpWay } from './exchange.ts';
export { type McpGateway, type McpGatewayOptions, openMcpGateway } from './open.ts';
export type { RegistryServer, RegistrySource } from './registry-view.ts';
export type { McpRouter, McpRouterDeps } from './router.ts';
