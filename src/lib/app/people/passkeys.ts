import { isIP } from 'node:net';
import type {
  AuthenticationResponseJSON,
  PublicKeyCredentialCreationOptionsJSON,
  PublicKeyCredentialRequestOptionsJSON,
  RegistrationResponseJSON,
} from '@simplewebauthn/server';
import {
  deletePasskey,
  findPasskey,
  insertPasskey,
  type KnownPasskey,
  type Passkey,
  passkeysOf,
  recordIdentityEvent,
  renamePasskey,
  usePasskey,
} from '../../domain/auth/index.ts';
import { type Database, withActor } from '../../infra/database/connection.ts';
import { ConflictError, NotFoundError, PreconditionError, UnauthenticatedError } from '../../shared/errors.ts';
import type { UserId } from '../../shared/ids.ts';
import { type BrowserSession, type BrowserSessions, requireRecent } from './browser-sessions.ts';
import type { CookieRequest, CookieResponse } from './cookies.ts';
import { challengeSeconds, PasskeyChallenges } from './passkey-challenges.ts';
import { cleanPasskeyName, passkeyNameFor } from './passkey-names.ts';
import type { Throttle } from './throttle.ts';

export type { Passkey } from '../../domain/auth/index.ts';

/** Loaded when somebody uses a passkey: an API process starts without it. */
const library = () => import('@simplewebauthn/server');

/** Passkeys are added and removed by who has just signed in: minutes. */
export const recentMinutes = 10;
const maxPerUser = 20;
/** ES256, EdDSA, RS256: what authenticators have (COSE algorithm numbers). */
const algorithms = [-7, -8, -257];

/** Passkeys (WebAuthn level 3): discoverable ones, with the user verified, bound to the name of the instance. */
export class Passkeys {
  /** The name that passkeys are made for; undefined where there can be none, since the address has no name. */
  readonly rpId: string | undefined;
  readonly #origin: string;
  readonly #database: Database;
  readonly #sessions: BrowserSessions;
  readonly #throttle: Throttle;
  readonly #challenges: PasskeyChallenges;

  constructor(deps: {
    readonly database: Database;
    readonly sessions: BrowserSessions;
    readonly throttle: Throttle;
    readonly externalUrl: string;
  }) {
    this.#database = deps.database;
    this.#sessions = deps.sessions;
    this.#throttle = deps.throttle;
    this.#challenges = new PasskeyChallenges(deps.database, deps.sessions);
    const { origin, hostname } = new URL(deps.externalUrl);
    this.#origin = origin;
    this.rpId = isIP(hostname) === 0 && !hostname.startsWith('[') ? hostname : undefined;
  }

  /** What the browser is given to sign in with: any passkey that it has for this instance. */
  async signInOptions(
    request: CookieRequest,
    response: CookieResponse,
  ): Promise<PublicKeyCredentialRequestOptionsJSON> {
    const rpID = this.#requireRpId();
    const challenge = await this.#challenges.give('passkey_sign_in', request, response);
    const { generateAuthenticationOptions } = await library();
    return generateAuthenticationOptions({
      rpID,
      challenge,
      timeout: challengeSeconds * 1000,
      userVerification: 'required',
      allowCredentials: [],
    });
  }

  /**
   * Signs in whoever the passkey is of.
   * @throws UnauthenticatedError, saying the same whatever it was; RateLimitedError
   */
  async signIn(
    request: CookieRequest,
    response: CookieResponse,
    given: { readonly response: AuthenticationResponseJSON; readonly address?: string | undefined },
  ): Promise<BrowserSession> {
    const rpID = this.#requireRpId();
    const { address } = given;
    await this.#throttle.take('passkey', { address });
    const challenge = await this.#challenges.take('passkey_sign_in', request, given.response);
    const passkey = await findPasskey(this.#database, Buffer.from(given.response.id, 'base64url'));
    if (passkey !== undefined) await this.#throttle.take('passkey', { account: passkey.userId });
    if (challenge === undefined || passkey === undefined) {
      await this.#refused(passkey, address, challenge === undefined ? 'challenge' : 'unknown_credential');
      throw refused();
    }
    const use = await this.#verify(rpID, challenge.value, given.response, passkey);
    if (use === undefined) {
      await this.#refused(passkey, address, 'assertion');
      throw refused();
    }
    const session = await this.#database.transaction(async (tx) => {
      if (!(await usePasskey(tx, passkey.id, use))) return undefined;
      const begun = await this.#sessions.begin(
        request,
        response,
        { userId: passkey.userId, methods: ['passkey'], passkeyId: passkey.id },
        tx,
      );
      const { userId, sessionId } = begun;
      const data = { method: 'passkey', passkey: passkey.id };
      await recordIdentityEvent(tx, { type: 'sign_in', userId, sessionId, address, data });
      return begun;
    });
    if (session === undefined) {
      // It signed, and with a count that was there before: its key is in two places.
      await this.#refused(passkey, address, 'counter_rollback');
      throw refused();
    }
    await this.#throttle.forgive('passkey', { address, account: passkey.userId });
    return session;
  }

  /** What the browser is given to make a passkey with. @throws UnauthenticatedError when the sign-in is not recent */
  async addOptions(
    request: CookieRequest,
    response: CookieResponse,
    session: BrowserSession,
  ): Promise<PublicKeyCredentialCreationOptionsJSON> {
    requireRecent(session, recentMinutes);
    const rpID = this.#requireRpId();
    const known = await passkeysOf(this.#database, session.userId);
    if (known.length >= maxPerUser) {
      throw new ConflictError(`An account has ${maxPerUser} passkeys at most`, {
        hint: 'Remove one that is not used.',
      });
    }
    const challenge = await this.#challenges.give('passkey_add', request, response, session.userId);
    const { generateRegistrationOptions } = await library();
    return generateRegistrationOptions({
      rpName: 'systemprompt',
      rpID,
      userName: session.userName,
      userDisplayName: session.displayName,
      // No personal data, as WebAuthn asks for (section 14.6.1), and the same for all of a user's passkeys.
      userID: userHandle(session.userId),
      challenge,
      timeout: challengeSeconds * 1000,
      attestationType: 'none',
      excludeCredentials: known.map(({ credentialId, transports }) => ({
        id: credentialId.toString('base64url'),
        transports: [...transports],
      })),
      authenticatorSelection: { residentKey: 'required', userVerification: 'required' },
      supportedAlgorithmIDs: algorithms,
    });
  }

  /** Keeps a passkey that the browser made; the session goes on under a new id. */
  async add(
    request: CookieRequest,
    response: CookieResponse,
    session: BrowserSession,
    given: {
      readonly response: RegistrationResponseJSON;
      readonly name?: string | undefined;
      readonly address?: string | undefined;
    },
  ): Promise<Passkey> {
    requireRecent(session, recentMinutes);
    const rpID = this.#requireRpId();
    const challenge = await this.#challenges.take('passkey_add', request, given.response);
    if (challenge === undefined || challenge.step.userId !== session.userId) throw notMade();
    const { verifyRegistrationResponse } = await library();
    const verified = await verifyRegistrationResponse({
      response: given.response,
      expectedChallenge: challenge.value,
      expectedOrigin: this.#origin,
      expectedRPID: rpID,
      requireUserVerification: true,
      supportedAlgorithmIDs: algorithms,
    }).catch((cause: unknown) => {
      throw notMade(cause);
    });
    if (!verified.verified) throw notMade();
    const { credential, credentialDeviceType, credentialBackedUp, aaguid } = verified.registrationInfo;
    const passkey = await this.#database.transaction(async (tx) => {
      const added = await insertPasskey(tx, {
        userId: session.userId,
        credentialId: Buffer.from(credential.id, 'base64url'),
        publicKey: Buffer.from(credential.publicKey),
        counter: credential.counter,
        transports: credential.transports ?? [],
        deviceType: credentialDeviceType,
        backedUp: credentialBackedUp,
        aaguid,
        rpId: rpID,
        name: cleanPasskeyName(given.name) ?? passkeyNameFor(request),
      });
      if (added === undefined) {
        throw new ConflictError('This passkey is registered already', { hint: 'Make another one.' });
      }
      const { userId, sessionId } = session;
      const data = { passkey: added.id, name: added.name };
      await recordIdentityEvent(tx, { type: 'passkey_added', userId, sessionId, address: given.address, data });
      return added;
    });
    await this.#sessions.rotate(request, response);
    return passkey;
  }

  /** Of a user, oldest first. */
  async list(userId: UserId): Promise<Passkey[]> {
    const known = await withActor(this.#database, userId, (tx) => passkeysOf(tx, userId));
    return known.map(({ credentialId: _id, publicKey: _key, transports: _transports, ...passkey }) => passkey);
  }

  /** @throws NotFoundError when the user has no such passkey */
  async rename(userId: UserId, id: string, name: string): Promise<void> {
    const clean = cleanPasskeyName(name);
    if (clean === undefined) return;
    if (await withActor(this.#database, userId, (tx) => renamePasskey(tx, userId, id, clean))) return;
    throw noSuchPasskey();
  }

  /**
   * Removes a passkey; browser sessions that were begun with it end.
   * @throws UnauthenticatedError when the sign-in is not recent; NotFoundError when the user has no such passkey
   */
  async remove(session: BrowserSession, id: string, address?: string): Promise<void> {
    requireRecent(session, recentMinutes);
    await withActor(this.#database, session.userId, async (tx) => {
      const removed = await deletePasskey(tx, session.userId, id);
      if (removed === undefined) throw noSuchPasskey();
      const { userId, sessionId } = session;
      const data = { passkey: id, name: removed.name, ended_sessions: removed.endedSessions };
      await recordIdentityEvent(tx, { type: 'passkey_removed', userId, sessionId, address, data });
    });
  }

  /** What the authenticator says of this use, when it holds in everything but its count. */
  async #verify(
    rpID: string,
    challenge: string,
    response: AuthenticationResponseJSON,
    passkey: KnownPasskey,
  ): Promise<{ counter: number; backedUp: boolean } | undefined> {
    const { userHandle: handle } = response.response;
    if (handle !== undefined && handle !== Buffer.from(userHandle(passkey.userId)).toString('base64url')) {
      return undefined;
    }
    const { verifyAuthenticationResponse } = await library();
    try {
      const { verified, authenticationInfo } = await verifyAuthenticationResponse({
        response,
        expectedChallenge: challenge,
        expectedOrigin: this.#origin,
        expectedRPID: rpID,
        requireUserVerification: true,
        // The count is compared where it is kept, so that of two uses at once one is seen to be the second.
        credential: { id: response.id, publicKey: new Uint8Array(passkey.publicKey), counter: 0 },
      });
      if (!verified) return undefined;
      return { counter: authenticationInfo.newCounter, backedUp: authenticationInfo.credentialBackedUp };
    } catch {
      return undefined; // its messages tell what was expected: the caller is told that it was refused
    }
  }

  async #refused(passkey: KnownPasskey | undefined, address: string | undefined, reason: string): Promise<void> {
    const data = { method: 'passkey', reason, passkey: passkey?.id };
    await recordIdentityEvent(this.#database, { type: 'sign_in_failed', userId: passkey?.userId, address, data });
  }

  #requireRpId(): string {
    if (this.rpId !== undefined) return this.rpId;
    throw new PreconditionError('Passkeys need an address with a name', {
      hint: 'Set server.external_url to one: passkeys are bound to a name, and an IP address is none.',
    });
  }
}

/** The id's 16 bytes. */
function userHandle(userId: UserId): Uint8Array<ArrayBuffer> {
  return new Uint8Array(Buffer.from(userId.replaceAll('-', ''), 'hex'));
}

function refused(): UnauthenticatedError {
  return new UnauthenticatedError('This passkey was not accepted', {
    hint: 'Try again, or use another way to sign in.',
    data: { reason: 'passkey' },
  });
}

function notMade(cause?: unknown): UnauthenticatedError {
  return new UnauthenticatedError('The passkey was not added', {
    hint: 'Load the page again and repeat it.',
    data: { reason: 'passkey' },
    ...(cause === undefined ? {} : { cause }),
  });
}

function noSuchPasskey(): NotFoundError {
  return new NotFoundError('You have no such passkey');
}
