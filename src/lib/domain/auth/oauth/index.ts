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
} from './payloads.ts';
export { findRefreshWindow, insertRefreshWindow } from './refresh-windows.ts';
export { signingJwks } from './signing-jwks.ts';
