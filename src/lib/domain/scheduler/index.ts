export { type SchedulerConfig, schedulerSchema } from './config.ts';
