import type { IDToken } from 'openid-client';
import {
  type FederatedIdentity,
  findPersonByMail,
  hasSignedIn,
  insertFederated,
  insertPerson,
  recordIdentityEvent,
} from '../../domain/auth/index.ts';
import type { FederationProvider } from '../../infra/config/profile-federation.ts';
import type { Queryable } from '../../infra/database/connection.ts';
import { ConflictError } from '../../shared/errors.ts';
import type { UserId } from '../../shared/ids.ts';
import { normaliseMailAddress } from '../../shared/mail-address.ts';
import { randomValue } from './cookies.ts';

/** Who comes for the first time: an invited user who never signed in, or somebody of a domain that makes users. */
export async function admit(
  tx: Queryable,
  provider: FederationProvider,
  claims: IDToken,
  address: string | undefined,
): Promise<FederatedIdentity | undefined> {
  if (provider.create_users === 'never') return undefined;
  // An address that nobody has verified is whatever its holder wrote there.
  const mail =
    claims['email_verified'] === true && typeof claims['email'] === 'string'
      ? normaliseMailAddress(claims['email'])
      : undefined;
  if (mail === undefined) return undefined;
  const user = await findPersonByMail(tx, mail);
  if (user !== undefined) {
    if (await hasSignedIn(tx, user.id)) return undefined;
    return linkIdentity(tx, provider, claims, user.id, address);
  }
  const domain = mail.slice(mail.lastIndexOf('@') + 1);
  if (provider.create_users !== 'domains' || !provider.domains.includes(domain)) return undefined;
  const given = claims['name'];
  const displayName = typeof given === 'string' ? cleanName(given) : '';
  for (let attempt = 0; attempt < 5; attempt++) {
    const person = { name: userName(mail, attempt), mail, displayName: displayName || mail };
    const created = await insertPerson(tx, person);
    if (created === undefined) continue;
    const data = { created: true, provider: provider.id, roles: ['user'] };
    await recordIdentityEvent(tx, { type: 'user_changed', userId: created, address, data });
    return linkIdentity(tx, provider, claims, created, address);
  }
  return undefined;
}

/** Links who came with a user. @throws ConflictError when that is somebody's already */
export async function linkIdentity(
  tx: Queryable,
  provider: FederationProvider,
  claims: IDToken,
  userId: UserId,
  address: string | undefined,
): Promise<FederatedIdentity> {
  const label = [claims['email'], claims['preferred_username'], claims['name']].find(
    (value): value is string => typeof value === 'string' && value !== '',
  );
  const linked = await insertFederated(tx, {
    userId,
    issuer: claims.iss,
    subject: claims.sub,
    provider: provider.id,
    label: label === undefined ? undefined : cleanName(label),
  });
  if (linked === undefined) throw taken();
  const data = { provider: provider.id, issuer: claims.iss };
  await recordIdentityEvent(tx, { type: 'federation_linked', userId, address, data });
  return linked;
}

function cleanName(name: string): string {
  return name
    .replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, ' ')
    .replace(/\s+/g, ' ')
    .trim()
    .slice(0, 200)
    .toWellFormed();
}

/** A user's name from a mail address; with a number when that one is taken. */
function userName(mail: string, attempt: number): string {
  const local = mail
    .slice(0, mail.lastIndexOf('@'))
    .replace(/[^a-z0-9._-]/g, '-')
    .replace(/^[^a-z0-9]+/, '')
    .slice(0, 50);
  const base = local === '' ? 'user' : local;
  return attempt === 0
    ? base
    : `${base}-${randomValue()
        .replace(/[^a-z0-9]/g, '')
        .slice(0, 6)}`;
}

/** The error for an identity that is another user's. */
export function taken(): ConflictError {
  return new ConflictError('This account is linked with another user already');
}
