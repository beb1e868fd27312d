import { expect, it } from 'vitest';
import { Delegation } from '../../../../src/lib/app/router/delegation.ts';
import type { Claims } from '../../../../src/lib/domain/auth/index.ts';
import type { SessionId, UserId } from '../../../../src/lib/shared/ids.ts';

const claims: Claims = {
  sub: 'u' as UserId,
  name: 'ada',
  sid: 's' as SessionId,
  jti: 'j',
  iss: 'i',
  aud: 'a',
  client: 'notes-server',
  scopes: ['user'],
  iat: 0,
  exp: 4_000_000_000,
  accessVersion: 1,
};

it('auth 42: a token that was made for one caller is used again for that one alone, with the same actors and rights', async () => {
  const made: Claims[] = [];
  const delegation = new Delegation(
    {
      delegate: async (given) => {
        made.push(given);
        const expiresAt = new Date(Date.now() + 60_000);
        return { token: `t${made.length}`, expiresAt, audience: 'a', scopes: given.scopes };
      },
    },
    'instance',
  );
  expect(await delegation.token(claims)).toBe('t1');
  expect(await delegation.token({ ...claims, jti: 'another' })).toBe('t1');
  // Somebody who acts for the caller is on record as that.
  const acting = { ...claims, act: { sub: 'm', client_id: 'notes-server' } };
  expect(await delegation.token(acting)).toBe('t2');
  expect(await delegation.token({ ...acting, act: { ...acting.act, act: { sub: 'first' } } })).toBe('t3');
  // What was taken away since is not in it, and one from before would be refused.
  expect(await delegation.token({ ...claims, accessVersion: 2 })).toBe('t4');
  expect(await delegation.token({ ...claims, authTime: 5 })).toBe('t5');
  expect(await delegation.token(acting)).toBe('t2');
});
