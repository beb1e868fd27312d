import { z } from 'zod';
import { slug } from '../../infra/config/fields.ts';
import { cronFault } from './cron.ts';

const schedule = z
  .string()
  .superRefine((value, context) => {
    const fault = cronFault(value);
    if (fault === undefined) return;
    context.addIssue({
      code: 'custom',
      message: fault,
      params: { hint: 'write seconds first: 0 0 3 * * * is every day at 3:00' },
    });
  })
  .meta({ pattern: '^\\s*(\\S+\\s+){5}\\S+\\s*$' });

const job = z
  .strictObject({
    name: slug.describe('Name of the job.'),
    extension: slug.optional().describe('Extension that brings the job. Default: the one that has a job of this name.'),
    schedule: schedule
      .optional()
      .describe('When it runs: six fields of cron, seconds first, in UTC. Default: what the job itself says.'),
    enabled: z.boolean().default(true).describe('Whether it runs.'),
  })
  .describe('One job.');

/** `scheduler`. */
export const schedulerSchema = z
  .strictObject({
    enabled: z.boolean().default(true).describe('Whether jobs run at all.'),
    jobs: z.array(job).default([]).describe('Jobs and when they run.'),
    bootstrap_jobs: z.array(slug).default([]).describe('Jobs that run once at each start, by name.'),
  })
  .describe('Jobs that run by the clock.');

export type SchedulerConfig = z.output<typeof schedulerSchema>;
