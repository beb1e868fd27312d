import type { DatabasePlace } from '../../src/lib/app/database/connections.ts';
import { toConnectionUrl } from '../../src/lib/infra/database/connection-url.ts';
import type { TestDatabase } from './database.ts';

/** A test's database as commands find it: on a server of the user's own, with the passwords in the secrets. */
export function placeOf(database: TestDatabase): DatabasePlace {
  const kept = new Map<string, string>([['database.url', toConnectionUrl(database.admin)]]);
  for (const role of ['owner', 'app', 'audit', 'sealer', 'reader'] as const)
    kept.set(`database.${role}`, database[role].password);
  return {
    instance: { runDir: '/nonexistent' },
    profile: { database: { url: '${secret:database.url}' } } as DatabasePlace['profile'],
    secrets: {
      get: async (name) => kept.get(name),
      require: async (name) => kept.get(name) ?? Promise.reject(new Error(`no secret ${name}`)),
      set: async (name, value) => void kept.set(name, value),
      names: async () => [...kept.keys()].sort(),
    } as DatabasePlace['secrets'],
  };
}
