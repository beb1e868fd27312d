export { type WebConfig, webSchema } from './config.ts';
