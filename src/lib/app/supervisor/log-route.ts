import { z } from 'zod';
import { loggedServices, supervisorLog } from '../../infra/process/logs.ts';
import type { ControlStream } from './control.ts';
import { followLogs } from './log-following.ts';
import { logLevels } from './log-lines.ts';
import { readLogs } from './log-reading.ts';
import { selectLogs } from './selection.ts';
import type { ServiceLogLine } from './status.ts';
import type { Supervisor } from './supervisor.ts';

const name = z.string().min(1).max(200);
const logsInput = z.strictObject({
  /** Names, the supervisor's own included; every service when there is none. */
  service: z.union([name.transform((one) => [one]), z.array(name).max(1_000)]).optional(),
  lines: z.coerce.number().int().min(0).max(100_000).default(20),
  follow: z.stringbool().default(false),
  since: z.iso.datetime().optional(),
  level: z.enum(logLevels).optional(),
});

/** `GET /v1/logs`: what the services have printed, and go on printing. */
export function logStream(supervisor: Supervisor): ControlStream {
  return {
    path: '/v1/logs',
    input: logsInput,
    stream: (input, signal) => logs(supervisor, input as z.output<typeof logsInput>, signal),
  };
}

async function* logs(
  supervisor: Supervisor,
  { service: names, follow, ...wanted }: z.output<typeof logsInput>,
  signal: AbortSignal,
): AsyncGenerator<ServiceLogLine | undefined, void, undefined> {
  const { logsDir } = supervisor.host.installation;
  const configured = supervisor.services.map((service) => service.name);
  // One that is no longer configured may have left logs.
  const known = [...new Set([...configured, ...loggedServices(logsDir), supervisorLog])];
  const services = names === undefined ? configured : selectLogs(names, known);
  yield undefined; // the answer begins although no line may come for a while
  const query = { ...wanted, services };
  if (follow) yield* followLogs(logsDir, query, signal);
  else yield* readLogs(logsDir, query);
}
