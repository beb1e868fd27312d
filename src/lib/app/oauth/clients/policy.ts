import { randomBytes } from 'node:crypto';
import { type ClientMetadata, type Configuration, errors, type KoaContextWithOIDC, type Provider } from 'oidc-provider';
import { type ClientStore, kindField } from '../../../domain/auth/index.ts';
import { type AddressOf, networkOf } from '../../caller-address.ts';
import { mayIntrospect, mayRevoke } from '../machines/structured-tokens.ts';
import type { ClientDocuments } from './documents.ts';
import { restrictMetadata } from './metadata-policy.ts';

/** Who may become a client without being made one by an admin. */
export interface RegistrationSettings {
  readonly mode: 'open' | 'off';
  /** Registrations from one network in an hour. */
  readonly perNetworkPerHour: number;
  /** Clients that registered themselves, in all. */
  readonly maxClients: number;
}

export interface ClientPolicyDependencies {
  readonly clients: ClientStore;
  readonly registration: RegistrationSettings;
  /** Absent where clients may publish no documents of themselves, or where the guard of fetches does not hold. */
  readonly documents: ClientDocuments | undefined;
  readonly addressOf: AddressOf;
  /** 32 bytes, the same in every API process: what nonces of proofs are made with. */
  readonly nonceSecret: Buffer;
}

const maxRegistrationBytes = 16 * 1024;
/** An assertion that is good for longer was not made for this one request. */
const maxAssertionSeconds = 600;

/** The part of the provider's configuration that is about clients. */
export function clientPolicy(deps: ClientPolicyDependencies) {
  const { documents, registration } = deps;
  return {
    clientAuthMethods: ['none', 'client_secret_basic', 'client_secret_post', 'private_key_jwt'],
    clientDefaults: {
      grant_types: ['authorization_code', 'refresh_token'],
      id_token_signed_response_alg: 'ES256',
      token_endpoint_auth_method: 'client_secret_basic',
    },
    extraClientMetadata: {
      properties: [kindField],
      validator(ctx: KoaContextWithOIDC | undefined, _name: string, _value: unknown, metadata: ClientMetadata) {
        restrictMetadata(metadata as Record<string, unknown>, ctx !== undefined);
      },
    },
    assertJwtClientAuthClaimsAndHeader(_ctx: unknown, claims: Record<string, unknown>) {
      if (Number(claims['exp']) <= Date.now() / 1000 + maxAssertionSeconds) return;
      throw new errors.InvalidClientAuth('the assertion is good for too long');
    },
    ...(documents === undefined ? {} : { fetch: documents.fetch as typeof fetch }),
    fetchResponseBodyLimits: { 'client_id metadata document': 5 * 1024, jwks_uri: 64 * 1024, sector_identifier_uri: 1 },
    features: {
      clientCredentials: { enabled: true },
      registration: {
        enabled: registration.mode === 'open',
        initialAccessToken: false,
        issueRegistrationAccessToken: false,
        idFactory: () => `dyn_${randomBytes(16).toString('base64url')}`,
        secretFactory: () => randomBytes(32).toString('base64url'),
      },
      registrationManagement: { enabled: false },
      clientIdMetadataDocument: {
        enabled: documents !== undefined,
        ack: 'draft-02',
        allowFetch: (ctx: KoaContextWithOIDC, id: string) => documents?.allowFetch(ctx, id) ?? false,
        allowClient: (_ctx: KoaContextWithOIDC, client: { clientId: string }) =>
          documents?.allowClient(client.clientId) ?? false,
        cacheDuration: { min: 60, max: 3600 },
      },
      revocation: { enabled: true, allowedPolicy: mayRevoke },
      introspection: { enabled: true, allowedPolicy: mayIntrospect },
      dPoP: { enabled: true, nonceSecret: deps.nonceSecret, requireNonce: () => false, allowReplay: false },
    },
  } satisfies Configuration;
}

/** What can't be said by configuration: how secrets are compared, and how much strangers may register. */
export function applyClientPolicy(provider: Provider, deps: ClientPolicyDependencies): void {
  const { clients } = deps;
  const prototype = provider.Client.prototype as {
    compareClientSecret(this: { clientId: string }, given: string): unknown;
  };
  prototype.compareClientSecret = function compare(given) {
    return clients.secretMatches(this.clientId, given);
  };
  const path = provider.pathFor('token') === undefined ? '' : registrationPath(provider, deps.registration);
  provider.use(async (ctx, next) => {
    if (path === '' || ctx.method !== 'POST' || ctx.path !== path) return await next();
    const refusal = await registrationRefusal(deps, ctx.req.headers['content-length'], deps.addressOf(ctx.req));
    if (refusal !== undefined) {
      ctx.status = refusal.status;
      ctx.set('cache-control', 'no-store');
      if (refusal.retryAfter !== undefined) ctx.set('retry-after', String(refusal.retryAfter));
      ctx.body = { error: refusal.error, error_description: refusal.description };
      return;
    }
    const address = deps.addressOf(ctx.req);
    await clients.registering({ network: networkOf(address), address }, next);
    if (ctx.status === 201 && typeof ctx.body === 'object') delete (ctx.body as Record<string, unknown>)[kindField];
  });
}

function registrationPath(provider: Provider, settings: RegistrationSettings): string {
  return settings.mode === 'open' ? provider.pathFor('registration') : '';
}

interface RegistrationRefusal {
  readonly status: number;
  readonly error: string;
  readonly description: string;
  readonly retryAfter?: number;
}

async function registrationRefusal(
  deps: ClientPolicyDependencies,
  length: string | undefined,
  address: string | undefined,
): Promise<RegistrationRefusal | undefined> {
  if (length === undefined || Number(length) > maxRegistrationBytes) {
    const description = `a registration has at most ${maxRegistrationBytes} bytes, and says how many`;
    return { status: length === undefined ? 411 : 413, error: 'invalid_client_metadata', description };
  }
  const { perNetworkPerHour, maxClients } = deps.registration;
  const used = await deps.clients.registrations(networkOf(address));
  if (used.lastHour >= perNetworkPerHour) {
    const description = 'too many clients were registered from there';
    return { status: 429, error: 'temporarily_unavailable', description, retryAfter: 3600 };
  }
  if (used.all < maxClients) return undefined;
  return { status: 503, error: 'temporarily_unavailable', description: 'there are too many clients', retryAfter: 3600 };
}
