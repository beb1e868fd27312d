import { createHash } from 'node:crypto';
import type { ServiceLimits } from '../../infra/config/limits-schema.ts';
import { unenforceable } from '../../infra/process/limits.ts';
import type { ServiceSpec } from '../../infra/process/spec.ts';
import type { ConfigIssue } from '../../shared/errors.ts';

const mebibyte = 1024 * 1024;

/**
 * A service under the limits of its configuration. Those that it is started with (open files, niceness) are part of the
 * digest: another number means another start. The supervisor keeps the others by itself.
 */
export function withLimits<S extends ServiceSpec>(spec: S, limits: ServiceLimits): S {
  const { memory_mb: memory, open_files: openFiles, nice, stop_grace_ms: graceMs, ready_timeout_ms: readyMs } = limits;
  const atSpawn = { ...(openFiles === undefined ? {} : { openFiles }), ...(nice === undefined ? {} : { nice }) };
  const resource = { ...atSpawn, ...(memory === undefined ? {} : { memoryBytes: memory * mebibyte }) };
  const changes: Partial<ServiceSpec> = {
    ...(Object.keys(resource).length === 0 ? {} : { limits: resource }),
    ...(graceMs === undefined ? {} : { stop: { ...spec.stop, graceMs } }),
    ...(readyMs === undefined ? {} : { readyTimeoutMs: readyMs }),
    ...(Object.keys(atSpawn).length === 0
      ? {}
      : {
          configHash: createHash('sha256').update(spec.configHash).update(JSON.stringify(atSpawn)).digest('hex'),
          command: async (run) => ({ ...(await spec.command(run)), ...atSpawn }),
        }),
  };
  // Not by spreading: the port of a spec may be a getter.
  return Object.defineProperties(
    {},
    {
      ...Object.getOwnPropertyDescriptors(spec),
      ...Object.getOwnPropertyDescriptors(changes),
    },
  ) as S;
}

/**
 * The limits that this machine would not keep, so that a start with them can be refused.
 * @param place where they are configured
 * @param whose their name there
 * @param otherUser the process will run as another user, without our rights
 */
export function limitIssues(
  { open_files: openFiles, nice }: ServiceLimits,
  place: Pick<ConfigIssue, 'file' | 'line' | 'column'>,
  whose: string,
  otherUser = false,
): ConfigIssue[] {
  const asked = { ...(openFiles === undefined ? {} : { openFiles }), ...(nice === undefined ? {} : { nice }) };
  const { file, line, column } = place;
  return unenforceable(asked, otherUser).map(({ message, hint }) => ({
    file,
    line,
    column,
    message: `${whose}: ${message}`,
    hint,
  }));
}
