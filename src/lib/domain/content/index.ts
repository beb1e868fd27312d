export { type ContentConfig, contentSchema } from './config.ts';
