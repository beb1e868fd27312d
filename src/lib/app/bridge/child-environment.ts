import { markerNames } from '../../infra/process/marker.ts';

/** What every program needs to find others, its folders, the time, the way out, and whom to trust there. */
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
  'SSL_CERT_FILE',
  'SSL_CERT_DIR',
  'HTTP_PROXY',
  'HTTPS_PROXY',
  'ALL_PROXY',
  'NO_PROXY',
  // Some programs know these by their small letters alone (curl, wget).
  'http_proxy',
  'https_proxy',
  'all_proxy',
  'no_proxy',
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
