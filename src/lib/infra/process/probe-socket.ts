import { readdirSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import type { ServiceInstanceId } from '../../shared/ids.ts';
import { hasCode } from './identity.ts';

// The sockets in an instance's runtime folder on which one process alone answers, whoever shares its port.

const form = /^[0-9a-f]{12}\.sock$/;

/** Path of a run's own socket; short, since socket paths are. Ids begin with the time and end in chance. */
export function probeSocketOf(runtimeDir: string, instanceId: ServiceInstanceId): string {
  return join(runtimeDir, `${instanceId.replaceAll('-', '').slice(-12)}.sock`);
}

/** Removes the socket of a run that is over; a process removes its own unless it was killed. */
export function removeProbeSocket(runtimeDir: string, instanceId: ServiceInstanceId): void {
  rmSync(probeSocketOf(runtimeDir, instanceId), { force: true });
}

/** Removes the sockets that nobody listens on any more. */
export async function sweepProbeSockets(runtimeDir: string): Promise<void> {
  for (const path of probeSocketsIn(runtimeDir)) {
    if (await isAbandoned(path)) rmSync(path, { force: true });
  }
}

/** Paths of all that are there, abandoned ones among them. */
export function probeSocketsIn(runtimeDir: string): string[] {
  return readdirSync(runtimeDir)
    .filter((name) => form.test(name))
    .map((name) => join(runtimeDir, name));
}

function isAbandoned(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect(path);
    probe.once('connect', () => {
      probe.destroy();
      resolve(false);
    });
    probe.once('error', (error) => resolve(hasCode(error, 'ECONNREFUSED', 'ENOENT')));
  });
}
