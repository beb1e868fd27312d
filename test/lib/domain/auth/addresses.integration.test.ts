import { afterAll, beforeAll, expect, it } from 'vitest';
import { TokenVerifier } from '../../../../src/lib/domain/auth/index.ts';
import { externalUrl, maxTtlSeconds, openTestIdentity, type TestIdentity } from '../../../helpers/identity.ts';

const inner = 'https://inner.example';
let test: TestIdentity;
let verifier: TokenVerifier;
beforeAll(async () => {
  test = await openTestIdentity();
  const { database, identity } = test;
  const addresses = [externalUrl, inner];
  verifier = await TokenVerifier.open({ database, keys: identity.keys, issuer: externalUrl, maxTtlSeconds, addresses });
});
afterAll(async () => {
  await verifier?.close();
  await test?.close();
});

async function tokenFor(audience: string): Promise<string> {
  const { users, sessions, issuer } = test.identity;
  const user = await users.ensureOwner();
  const session = await sessions.begin({ userId: user.id, client: 'test', ttlSeconds: 600 });
  const request = { user, sessionId: session.id, audience, scopes: ['user'], ttlSeconds: 600, client: 'test' };
  return (await issuer.issue(request)).token;
}

it('a token that is bound to another address of the instance is good for the same resource, and for no other', async () => {
  const path = '/api/v1/mcp/alpha/mcp';
  const bound = await tokenFor(`${inner}${path}`);
  expect(await verifier.verify(bound, `${externalUrl}${path}`)).toMatchObject({ aud: `${inner}${path}` });
  const refused = { code: 'UNAUTHENTICATED', data: { reason: 'audience' } };
  await expect(verifier.verify(bound, `${externalUrl}/api/v1/mcp/beta/mcp`)).rejects.toMatchObject(refused);
  await expect(verifier.verify(bound, `${externalUrl}/api/v1`)).rejects.toMatchObject(refused);
  const foreign = await tokenFor(`https://outer.example${path}`);
  await expect(verifier.verify(foreign, `${externalUrl}${path}`)).rejects.toMatchObject(refused);
  // Without further addresses the audience is one.
  await expect(test.identity.verifier.verify(bound, `${externalUrl}${path}`)).rejects.toMatchObject(refused);
});
