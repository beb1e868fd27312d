export { type AiConfig, aiSchema } from './config.ts';
