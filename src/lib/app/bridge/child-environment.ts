import { markerNames } from '../../infra/process/marker.ts';

/** What every program needs to find others, its folders, the time and the way out. */
export const commonVariables = [
  'PATH',
  'HOME',
  'USER',
  'LOGNAME',
  'LANG',
  'LC_ALL',
  'TZ',
  'TMPDIR',
  'XDG_CACHE_HOME',
  'NODE_EXTRA_CA_CERTS',
  'HTTP_PROXY',
  'HTTPS_PROXY',
  'NO_PROXY',
] as const;

/**
 * The environment of a program behind the bridge: the variables of its server, the few that every program needs, and the
 * markers by which the supervisor finds it should the bridge die. Nothing else of ours: no key, no database.
 * @param own names of the server's variables
 */
export function childEnvironment(env: NodeJS.ProcessEnv, own: readonly string[]): Record<string, string> {
  const names = [...new Set<string>([...commonVariables, ...markerNames, ...own])];
  return Object.fromEntries(
    names.flatMap((name) => {
      const value = env[name];
      return value === undefined ? [] : [[name, value] as const];
    }),
  );
}
