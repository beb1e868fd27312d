import type { IncomingMessage, ServerResponse } from 'node:http';
import type Provider from 'oidc-provider';
import type { ClientStore, PublicKeySet } from '../../domain/auth/index.ts';
import { signingJwks, sweepPayloads } from '../../domain/auth/index.ts';
import type { SecretStore } from '../../infra/config/secrets.ts';
import type { Database } from '../../infra/database/connection.ts';
import type { Logger } from '../../infra/logging/logger.ts';
import { AppError, NotFoundError, PreconditionError } from '../../shared/errors.ts';
import type { UserId } from '../../shared/ids.ts';
import type { Entitlements } from '../access/entitlements.ts';
import type { AddressOf } from '../caller-address.ts';
import type { Identity } from '../identity.ts';
import type { ResourceServers } from '../resources.ts';
import type { WhoIsThere } from './consent.ts';
import type { CodeAttempts } from './device-attempts.ts';
import type { Interactions } from './interactions.ts';
import type { Machines } from './machines/open.ts';
import type { OAuthPages } from './pages.ts';
import type { Account, SigningKeys } from './provider.ts';
import type { OAuthSettings } from './settings.ts';
import type { Consent } from './store.ts';

export interface AuthorizationServerDependencies {
  readonly settings: OAuthSettings;
  readonly database: Database;
  readonly secrets: Pick<SecretStore, 'open' | 'fingerprint'>;
  readonly identity: Pick<Identity, 'users' | 'verifier'>;
  readonly clients: ClientStore;
  readonly machines: Machines;
  readonly resources: ResourceServers;
  readonly entitlements: Entitlements;
  readonly browser: WhoIsThere;
  readonly codeAttempts: CodeAttempts;
  readonly pages: OAuthPages;
  readonly addressOf: AddressOf;
  readonly log: Logger;
}

/** Where the issuer is, for each request. */
interface IssuerPlace {
  readonly host: string;
  readonly scheme: string;
}

/**
 * Has the library see a request as one to the issuer, from where it came: it makes addresses that it publishes of what
 * the headers say, and those anybody can send (T25).
 */
function asAsked(request: IncomingMessage, issuer: IssuerPlace, address: string | undefined): void {
  const { headers } = request;
  for (const name in headers) if (name.startsWith('x-forwarded-') || name === 'forwarded') delete headers[name];
  headers.host = issuer.host;
  headers['x-forwarded-proto'] = issuer.scheme;
  if (address !== undefined) headers['x-forwarded-for'] = address;
}

type Loaded = Awaited<ReturnType<typeof load>>;

/** A provider, and what answers by it. */
interface Made {
  readonly provider: Provider;
  readonly handle: (request: IncomingMessage, response: ServerResponse) => Promise<void>;
}

/** How often expired rows are looked for, in ms: about, so that several processes don't come at the same moment. */
const sweepEveryMs = 5 * 60_000;

/**
 * The authorization server of one process. The library that it stands on is loaded with the first request that it is
 * for; a new provider takes the place of the last one when the signing keys change.
 */
export class AuthorizationServer {
  readonly #deps: AuthorizationServerDependencies;
  readonly #issuer: IssuerPlace;
  #loaded: Promise<Loaded> | undefined;
  #current: { readonly keys: PublicKeySet['keys']; readonly kids: string; readonly made: Promise<Made> } | undefined;
  #sweep: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(deps: AuthorizationServerDependencies) {
    this.#deps = deps;
    const { host, protocol } = new URL(deps.settings.issuer);
    this.#issuer = { host, scheme: protocol.slice(0, -1) };
    this.#sweepLater();
  }

  /** Answers a request that `oauthPath` names. @throws DatabaseUnavailableError when nobody can be trusted */
  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { handle } = await this.#provider();
    asAsked(request, this.#issuer, this.#deps.addressOf(request));
    await handle(request, response);
  }

  /** For the pages that ask people. */
  readonly interactions: Interactions = {
    find: async (...exchange) => (await this.#load()).interactions.find(...exchange),
    login: async (...exchange) => (await this.#load()).interactions.login(...exchange),
    consent: async (...exchange) => (await this.#load()).interactions.consent(...exchange),
    deny: async (...exchange) => (await this.#load()).interactions.deny(...exchange),
  };

  /** What each client that is connected was allowed by a user. */
  async consentsOf(user: UserId): Promise<readonly Consent[]> {
    return (await this.#load()).store.consentsOf(user);
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#sweep);
  }

  #load(): Promise<Loaded> {
    this.#loaded ??= load(this.#deps, async () => (await this.#provider()).provider);
    // A failure is not kept.
    this.#loaded.catch(() => {
      this.#loaded = undefined;
    });
    return this.#loaded;
  }

  #provider(): Promise<Made> {
    const { verifier } = this.#deps.identity;
    verifier.assertFresh();
    const { keys } = verifier.jwks;
    if (this.#current?.keys === keys) return this.#current.made;
    const kids = keys.map((key) => key.kid).join(' ');
    if (this.#current?.kids === kids) {
      this.#current = { ...this.#current, keys };
      return this.#current.made;
    }
    const made = this.#load().then((loaded) => loaded.make());
    const current = { keys, kids, made };
    this.#current = current;
    made.catch(() => {
      if (this.#current?.made === made) this.#current = undefined;
    });
    return made;
  }

  /** Needs no scheduler: each process removes some, and leaves alone what another one is at. */
  #sweepLater(): void {
    this.#sweep = setTimeout(() => void this.#sweepNow(), sweepEveryMs * (0.5 + Math.random())).unref();
  }

  async #sweepNow(): Promise<void> {
    try {
      const removed = await sweepPayloads(this.#deps.database, 500);
      if (removed > 0) this.#deps.log.debug({ removed }, 'Removed what had expired of the authorization server');
    } catch (err) {
      // It comes again; while the database is away nothing grows.
      if (!(err instanceof AppError)) this.#deps.log.warn({ err }, 'What has expired could not be removed');
    }
    if (!this.#closed) this.#sweepLater();
  }
}

async function load(deps: AuthorizationServerDependencies, provider: () => Promise<Provider>) {
  const { database, settings, resources, entitlements, browser, clients, secrets } = deps;
  const [{ createProvider }, { OAuthStore }, { Seal }, { ResourcePolicy }, { OAuthInteractions }] = await Promise.all([
    import('./provider.ts'),
    import('./store.ts'),
    import('./seal.ts'),
    import('./permitted.ts'),
    import('./interactions.ts'),
  ]);
  const seal = new Seal(Buffer.from(await secrets.fingerprint('authorization server'), 'base64url'));
  const store = new OAuthStore({ database, seal, clients, maxTokenTtlSeconds: settings.maxTokenTtl });
  const policy = new ResourcePolicy({ resources, entitlements });
  const account = (id: string): Promise<Account | undefined> => activeUser(deps, id);
  return {
    store,
    interactions: new OAuthInteractions({ provider, resources, entitlements, browser, store, database }),
    make: async (): Promise<Made> => {
      const keys = await signingKeys(deps);
      const made = createProvider({ ...deps, keys, store, seal, policy, account });
      return { provider: made, handle: made.callback() as Made['handle'] };
    },
  };
}

async function signingKeys({ database, secrets }: AuthorizationServerDependencies): Promise<SigningKeys> {
  const keys = await signingJwks(database, secrets);
  const general = keys.find(({ resource }) => resource === undefined)?.jwk.kid;
  if (general === undefined) throw new PreconditionError('There is no signing key yet');
  const own = new Map(keys.map(({ resource, jwk }) => [resource, jwk.kid]));
  return { jwks: keys.map(({ jwk }) => jwk), kidFor: (audience) => own.get(audience) ?? general };
}

async function activeUser({ identity }: AuthorizationServerDependencies, id: string): Promise<Account | undefined> {
  try {
    const user = await identity.users.get(id as UserId);
    return user.status === 'active' ? user : undefined;
  } catch (error) {
    if (error instanceof NotFoundError) return undefined;
    throw error;
  }
}
