export { type AgentConfig, agentsSchema } from './config.ts';
