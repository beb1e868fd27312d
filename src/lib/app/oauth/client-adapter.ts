import type { Adapter } from 'oidc-provider';
import type { ClientStore } from '../../domain/auth/index.ts';
import { guarded } from './unavailable.ts';

/** Longest id of a client that is looked up at all. */
const maxClientId = 2048;

/** Registered clients, as oidc-provider asks for them. */
export function clientAdapter(clients: ClientStore): Adapter {
  const unsupported = () => Promise.reject(new Error('A client has no such thing'));
  return {
    find: async (id) => {
      if (id.length > maxClientId || id.includes('\0')) return undefined;
      const metadata = await guarded(() => clients.find(id));
      if (metadata !== undefined) clients.touch(id);
      return metadata;
    },
    upsert: (id, metadata) => guarded(() => clients.register(id, metadata as Record<string, unknown>)),
    destroy: (id) => guarded(() => clients.remove(id)),
    findByUid: unsupported,
    findByUserCode: unsupported,
    consume: unsupported,
    revokeByGrantId: unsupported,
  };
}
