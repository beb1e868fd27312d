import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import { dottedPath } from '../../infra/config/yaml-path.ts';
import { UpstreamFailedError } from '../../shared/errors.ts';
import type { SupervisorClient } from '../supervisor/client.ts';
import { type EffectiveConfiguration, leaves } from './effective.ts';
import type { ConfigNode } from './types.ts';

const section = z.record(z.string(), z.json());

/** What the control socket's `GET /v1/configuration` answers: the configuration in force, without secrets. */
const runningSchema = z.object({
  profile: section,
  services: section,
  /** ISO 8601. */
  loadedAt: z.iso.datetime({ offset: true }),
});

export type RunningConfiguration = z.output<typeof runningSchema>;

/** One value that is not the same in what runs and in the files; undefined where one of them does not have it. */
export interface Difference {
  readonly path: string;
  readonly running: ConfigNode | undefined;
  readonly files: ConfigNode | undefined;
}

/** The configuration that a supervisor goes by. @throws UpstreamFailedError for an answer of another version */
export async function runningConfiguration(
  supervisor: Pick<SupervisorClient, 'request'>,
): Promise<RunningConfiguration> {
  const answer = runningSchema.safeParse(await supervisor.request('GET', '/v1/configuration'));
  if (answer.success) return answer.data;
  throw new UpstreamFailedError('The supervisor tells its configuration in a way that this version does not know', {
    hint: 'Start it again with this version',
    next: ['infra services stop', 'infra services start'],
  });
}

/** What differs between what runs and the files, value by value, sorted by path. */
export function configurationDifferences(
  running: Pick<RunningConfiguration, 'profile' | 'services'>,
  files: Pick<EffectiveConfiguration, 'profile' | 'services'>,
): Difference[] {
  const [a, b] = [valuesOf(running), valuesOf(files)];
  const paths = [...new Set([...a.keys(), ...b.keys()])].sort();
  return paths
    .filter((path) => !isDeepStrictEqual(a.get(path), b.get(path)))
    .map((path) => ({ path, running: a.get(path), files: b.get(path) }));
}

function valuesOf({
  profile,
  services,
}: Pick<EffectiveConfiguration, 'profile' | 'services'>): Map<string, ConfigNode> {
  return new Map(leaves({ ...profile, ...services }).map(({ path, value }) => [dottedPath(path), value]));
}
