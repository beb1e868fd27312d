import { createHash, randomBytes } from 'node:crypto';
import { createSetupLink } from '../../src/lib/app/people/setup-links.ts';
import { ClientService } from '../../src/lib/domain/auth/index.ts';
import type { UserId } from '../../src/lib/shared/ids.ts';
import type { ApiRig } from '../../test/helpers/api-rig.ts';
import { Person } from '../../test/helpers/person.ts';

const redirect = 'https://app.example/callback';
const oauth = '/api/v1/core/oauth';

/** A service account with a client of that id. @returns its secret */
export async function serviceClient(rig: ApiRig, id: string): Promise<string> {
  const [user] = await rig.database.query<{ id: UserId }>(
    `INSERT INTO users (name, display_name, roles, kind) VALUES ($1, $1, '{user}', 'service') RETURNING id`,
    [id],
  );
  if (user === undefined) throw new Error('There is no user');
  const metadata = { grant_types: ['client_credentials'], response_types: [], redirect_uris: [] };
  const made = await rig.database.transaction((tx) =>
    new ClientService(rig.database).create(tx, { id, kind: 'service', name: id, userId: user.id, metadata }, true),
  );
  return made.secret ?? '';
}

/** Signs the owner in with the client `app` so many times, by the pages. @returns the first refresh tokens */
export async function beginChains(rig: ApiRig, resource: string, count: number): Promise<string[]> {
  const metadata = {
    redirect_uris: [redirect],
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    token_endpoint_auth_method: 'none',
  };
  await rig.database.query(
    `INSERT INTO oauth_clients (id, kind, name, metadata) VALUES ('app', 'registered', 'app', $1)`,
    [JSON.stringify(metadata)],
  );
  const issuer = rig.profile.server.external_url;
  const { id: userId } = await rig.identity.users.ensureOwner();
  const { url } = await createSetupLink(rig.database, issuer, { userId });
  const person = await Person.setUp(url);
  const tokens: string[] = [];
  while (tokens.length < count) {
    const verifier = randomBytes(32).toString('base64url');
    const asked = new URLSearchParams({
      client_id: 'app',
      response_type: 'code',
      redirect_uri: redirect,
      code_challenge: createHash('sha256').update(verifier).digest('base64url'),
      code_challenge_method: 'S256',
      resource,
      scope: 'user',
    });
    const back = await person.allow(`${oauth}/authorize?${asked}`);
    const answer = await person.browser.ask(`${oauth}/token`, {
      form: {
        grant_type: 'authorization_code',
        client_id: 'app',
        code: back.searchParams.get('code') ?? '',
        code_verifier: verifier,
        redirect_uri: redirect,
      },
    });
    const { refresh_token: token } = answer.json();
    if (typeof token !== 'string') throw new Error(`There is no refresh token: ${answer.text}`);
    tokens.push(token);
  }
  return tokens;
}
