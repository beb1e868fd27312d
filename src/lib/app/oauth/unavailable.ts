import { errors } from 'oidc-provider';
import { AppError, type ErrorCode } from '../../shared/errors.ts';

/** What clients are told while the database is away (RFC 6749 section 4.1.2.1): they may come again. */
class Unavailable extends errors.OIDCProviderError {
  constructor(description: string, options: { readonly cause: Error }) {
    super(503, 'temporarily_unavailable', options);
    this.error_description = description;
    // Told to the client, unlike other errors above 499.
    this.expose = true;
  }
}

const away: ReadonlySet<ErrorCode> = new Set(['DATABASE_UNAVAILABLE', 'AUDIT_UNAVAILABLE', 'TIMEOUT']);

/** Has a fault of the database become an answer that says so; everything else passes as it is. */
export async function guarded<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof AppError && away.has(error.code)) {
      throw new Unavailable('the authorization server can not answer at the moment', { cause: error });
    }
    throw error;
  }
}
