import {
  findUpstreamClient,
  putUpstreamClient,
  type SealedGrant,
  type UpstreamGrant,
} from '../../../domain/mcp/index.ts';
import type { Queryable } from '../../../infra/database/connection.ts';
import type { Sealer } from '../sealing.ts';
import type { ClientStore } from './client.ts';
import type { UpstreamTokens } from './protocol.ts';

/** What a sign-in's tokens are sealed together with: they open there alone. */
export type GrantSubject = Pick<UpstreamGrant, 'id' | 'server' | 'userId' | 'issuer' | 'resource' | 'clientId'>;

type Secrets = Pick<UpstreamTokens, 'accessToken' | 'refreshToken'>;

function bound({ id, server, userId, issuer, resource, clientId }: GrantSubject): string {
  return JSON.stringify([id, server, userId ?? null, issuer, resource, clientId]);
}

/** Encrypts tokens under the instance's master key. */
export function sealTokens(sealer: Sealer, subject: GrantSubject, tokens: Secrets): Promise<string> {
  const { accessToken, refreshToken } = tokens;
  return sealer.seal(Buffer.from(JSON.stringify([bound(subject), accessToken, refreshToken ?? null])));
}

/** @throws PreconditionError when it was not sealed here, or is damaged; Error when the row was moved or changed */
export async function openTokens(sealer: Sealer, grant: SealedGrant): Promise<Secrets> {
  const said = JSON.parse(Buffer.from(await sealer.open(grant.sealed)).toString('utf8')) as [
    string,
    string,
    string | null,
  ];
  if (said[0] !== bound(grant))
    throw new Error(`The sign-in at ${grant.server} lies in a row that it was not sealed for`);
  return { accessToken: said[1], refreshToken: said[2] ?? undefined };
}

/** What is kept of registrations for one server of the fleet, secrets sealed together with where they are good. */
export function keptClients(connection: Queryable, sealer: Sealer, server: string): ClientStore {
  const place = (issuer: string, id: string): string => JSON.stringify([server, issuer, id]);
  return {
    find: async (issuer) => {
      const row = await findUpstreamClient(connection, server, issuer);
      if (row === undefined) return undefined;
      const { clientId: id, redirectUri, method, sealed, expiresAt } = row;
      const kept = { id, redirectUri, method, expiresAt: expiresAt ?? undefined };
      if (sealed === null) return kept;
      const [where, secret] = JSON.parse(Buffer.from(await sealer.open(sealed)).toString('utf8')) as string[];
      if (where !== place(issuer, id)) throw new Error(`A registration lies in a row that it was not sealed for`);
      return { ...kept, secret };
    },
    keep: async (issuer, { id, secret, method, redirectUri, expiresAt }) => {
      const sealed =
        secret === undefined ? null : await sealer.seal(Buffer.from(JSON.stringify([place(issuer, id), secret])));
      const row = { clientId: id, redirectUri, method, sealed, expiresAt: expiresAt ?? null };
      await putUpstreamClient(connection, server, issuer, row);
    },
  };
}
