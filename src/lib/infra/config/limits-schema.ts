import { z } from 'zod';

/** `limits` of a service, in a server's YAML and in the profile. */
export const serviceLimitsSchema = z
  .strictObject({
    memory_mb: z
      .int()
      .min(64)
      .max(4 * 1024 * 1024)
      .optional()
      .describe(
        'Resident memory in MiB, of its process and what it starts; above it, seen twice 5 s apart, it is restarted.',
      ),
    open_files: z
      .int()
      .min(64)
      .max(1_048_576)
      .optional()
      .describe('How many file descriptors its process may have open (Linux, by the program prlimit).'),
    nice: z
      .int()
      .min(-20)
      .max(19)
      .optional()
      .describe('CPU niceness: the higher, the later its turn comes. Below that of the supervisor takes a right.'),
    stop_grace_ms: z
      .int()
      .min(100)
      .max(600_000)
      .optional()
      .describe('How long it gets to stop by itself before it is killed, in milliseconds.'),
    ready_timeout_ms: z.int().min(500).max(600_000).optional().describe('How long a start may take, in milliseconds.'),
  })
  .prefault({})
  .describe('What the process may take up, and how long it gets.');

export type ServiceLimits = z.output<typeof serviceLimitsSchema>;
