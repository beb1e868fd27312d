import type { Extension } from '../../shared/extension.ts';

export {
  authenticate,
  type BearerRequest,
  type Challenge,
  type Credentials,
  challengeFor,
  insufficientScope,
  type ProtectedResource,
  readCredentials,
} from './bearer.ts';
export { type ActorClaim, actorOf, type Claims } from './claims.ts';
export {
  type ClientKind,
  type ClientMetadata,
  cliClientId,
  type KnownClient,
  type OauthClient,
} from './clients/client.ts';
export type { NewClient } from './clients/repository.ts';
export { type ClientChange, ClientService, type LiveSecret } from './clients/service.ts';
export { ClientStore, kindField } from './clients/store.ts';
export { proofAlgorithms } from './dpop.ts';
export { type IdentityEntry, type IdentityEventFilter, listIdentityEvents } from './event-reader.ts';
export {
  type IdentityEvent,
  type IdentityEventData,
  recordIdentityEvent,
  recordIdentityEvents,
} from './events.ts';
export type { ForeignSubject, ForeignTrust, KnownSubject } from './foreign.ts';
export {
  type Grant,
  type GrantFilter,
  type GrantSubject,
  type GrantSubjectType,
  insertGrant,
  listGrants,
  revokeGrants,
} from './grants.ts';
export { type IssuedToken, type IssueRequest, TokenIssuer, type TokenUser } from './issuer.ts';
export { type KeyChange, KeyService, type KeySwitch, type PublicKeySet } from './keys.ts';
export {
  connectedGrants,
  consumePayload,
  deletePayload,
  endGrant,
  findGrant,
  findPayload,
  findPayloadBy,
  grantsOf,
  insertPayload,
  insertRefreshToken,
  type NewPayload,
  type StoredGrant,
  type StoredPayload,
  sweepPayloads,
  upsertGrant,
  upsertPayload,
} from './oauth/payloads.ts';
export { findRefreshWindow, insertRefreshWindow } from './oauth/refresh-windows.ts';
export { signingJwks } from './oauth/signing-jwks.ts';
export {
  type AnsweredClient,
  type BoundPasskey,
  type LiveSessions,
  moveBuiltinClients,
  type OriginUses,
  originUses,
} from './origin.ts';
export * from './people/index.ts';
export type { FoundToken, TokenLookup } from './personal.ts';
export {
  findPersonalToken,
  goodPersonalToken,
  insertPersonalToken,
  listPersonalTokens,
  type PersonalToken,
  revokePersonalToken,
} from './personal-tokens.ts';
export type { TokenPolicies, TokenPolicy, TrustedIssuer } from './policy.ts';
export { DatabaseProofs } from './proofs.ts';
export { endedSince, lastingSession, proxySession, takeNonce } from './proxy-repository.ts';
export { isProxied, isSignedBody, type ProxyKey, refuseProxied, verifyProxied } from './proxy-signature.ts';
export { allKeys as listKeys, type KeyFacts, revokeToken } from './repository.ts';
export { SessionService, type UserSession } from './sessions.ts';
export { endSessions, type ListedSession, sessionsOf } from './user-sessions.ts';
export { TokenVerifier } from './verifier.ts';

/** Signing keys, sign-ins and access tokens. */
export const auth: Extension = { id: 'auth', version: '1.0.0', dependencies: ['users'], migrations: 'auth' };
