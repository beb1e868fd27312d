import { errors } from 'oidc-provider';
import { kindField } from '../../../domain/auth/index.ts';

/** What strangers may register for: people signing in by a browser, and staying signed in. */
const strangerGrants: ReadonlySet<unknown> = new Set(['authorization_code', 'refresh_token']);
const secretMethods: ReadonlySet<unknown> = new Set(['client_secret_basic', 'client_secret_post']);
const loopback: ReadonlySet<string> = new Set(['localhost', '127.0.0.1', '[::1]']);
/** Schemes with a meaning of their own beside those that the provider refuses. */
const foreignSchemes: ReadonlySet<string> = new Set([
  'ws:',
  'wss:',
  'ftp:',
  'mailto:',
  'tel:',
  'sms:',
  'view-source:',
  'filesystem:',
  'chrome:',
  'chrome-extension:',
  'moz-extension:',
  'intent:',
  'android-app:',
]);
/** Fetched from our network, or of no use to us. */
const removed = [
  'scope',
  'sector_identifier_uri',
  'initiate_login_uri',
  'default_acr_values',
  'require_auth_time',
  'default_max_age',
  'post_logout_redirect_uris',
] as const;
const maxList = 10;
const maxText = 2000;
const maxName = 100;

type Metadata = Record<string, unknown>;

/** Whether an id is that of a client that publishes a document of itself. */
function isDocumentId(id: unknown): boolean {
  return typeof id === 'string' && id.startsWith('https://');
}

/**
 * What clients that nobody here knows may say of themselves; for `extraClientMetadata.validator`, called while a client
 * is made of its metadata, before that is checked for form.
 * @param registering whether it is a registration by the client; what is stored was checked when it came
 * @throws InvalidClientMetadata
 */
export function restrictMetadata(metadata: Metadata, registering: boolean): void {
  const document = isDocumentId(metadata['client_id']);
  if (!document && !registering) return;
  metadata[kindField] = document ? 'document' : 'dynamic';
  for (const name of removed) delete metadata[name];
  limitSizes(metadata);
  metadata['grant_types'] = allowedGrants(metadata['grant_types']);
  metadata['response_types'] = ['code'];
  const method = metadata['token_endpoint_auth_method'];
  if (document) {
    // The default of registrations is a secret, which a document can't have.
    if (secretMethods.has(method)) metadata['token_endpoint_auth_method'] = 'none';
  } else {
    if (method !== 'none' && !secretMethods.has(method)) {
      invalid('token_endpoint_auth_method must be none, client_secret_basic or client_secret_post');
    }
    delete metadata['jwks_uri'];
    delete metadata['jwks'];
  }
  checkRedirects(metadata);
}

function allowedGrants(given: unknown): string[] {
  const grants = Array.isArray(given) ? given.filter((grant) => strangerGrants.has(grant)) : [];
  if (Array.isArray(given) && given.length > 0 && !grants.includes('authorization_code')) {
    invalid('grant_types must include authorization_code');
  }
  return grants.length === 0 ? ['authorization_code'] : grants;
}

/** An address that is not https belongs to a program on the user's machine, whatever the client calls itself. */
function checkRedirects(metadata: Metadata): void {
  const uris = metadata['redirect_uris'];
  if (!Array.isArray(uris)) return; // its form is checked next
  let native = false;
  for (const uri of uris) {
    const url = typeof uri === 'string' ? URL.parse(uri) : null;
    if (url === null) continue;
    if (url.username !== '' || url.password !== '') invalid('redirect_uris must not hold credentials');
    if (url.protocol === 'https:') continue;
    native = true;
    if (foreignSchemes.has(url.protocol)) invalid('redirect_uris must not use this scheme');
    if (url.protocol === 'http:' && !loopback.has(url.hostname))
      invalid('redirect_uris must use https or a loopback address');
  }
  if (native) metadata['application_type'] = 'native';
}

function limitSizes(metadata: Metadata): void {
  for (const [name, value] of Object.entries(metadata)) {
    if (typeof value === 'string' && value.length > (name === 'client_name' ? maxName : maxText))
      invalid(`${name} is too long`);
    if (!Array.isArray(value)) continue;
    if (value.length > maxList) invalid(`${name} has more than ${maxList} entries`);
    if (value.some((item) => typeof item === 'string' && item.length > maxText))
      invalid(`an entry of ${name} is too long`);
  }
}

function invalid(message: string): never {
  throw new errors.InvalidClientMetadata(message);
}
