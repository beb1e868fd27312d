import { errors } from 'jose';
import type { UnauthenticatedError } from '../../shared/errors.ts';
import { refuse } from './claims.ts';

/** Our refusal for jose's error; a fault that is no verdict on the token (the database away) passes as it is. */
export function toRefusal(error: unknown): UnauthenticatedError | unknown {
  if (!(error instanceof errors.JOSEError)) return error;
  if (error instanceof errors.JWTExpired) return refuse('expired', error);
  if (error instanceof errors.JWTClaimValidationFailed) {
    if (error.claim === 'iss') return refuse('issuer', error);
    if (error.claim === 'aud') return refuse('audience', error);
    if (error.claim === 'typ') return refuse('type', error);
    if (error.claim === 'nbf') return refuse('not_yet_valid', error);
    return refuse('malformed', error);
  }
  if (error instanceof errors.JOSEAlgNotAllowed) return refuse('algorithm', error);
  if (error instanceof errors.JWSSignatureVerificationFailed) return refuse('signature', error);
  if (error instanceof errors.JWKSNoMatchingKey) return refuse('unknown_key', error);
  return refuse('malformed', error);
}
