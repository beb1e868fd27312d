import { z } from 'zod';
import {
  type ClientMetadata,
  ClientService,
  insertGrant,
  type LiveSecret,
  listGrants,
  type NewClient,
  type OauthClient,
  recordIdentityEvent,
  revokeGrants,
} from '../../domain/auth/index.ts';
import type { McpServerConfig } from '../../domain/mcp/index.ts';
import { findUserByName, insertUser, type User } from '../../domain/users/index.ts';
import type { Database, Queryable } from '../../infra/database/connection.ts';
import type { Actor } from '../../shared/actor.ts';
import { ConflictError, UsageError } from '../../shared/errors.ts';
import type { IdentityEventType } from '../../shared/identity-event.ts';
import type { Permission } from '../../shared/permission.ts';
import { unknownServer } from '../identity.ts';
import { namedScopes } from './grants.ts';
import { checked } from './input.ts';
import { requireAdmin } from './rights.ts';

/** What an admin may make a client of; exactly one of the kinds. */
export interface ClientDraft {
  readonly id: string;
  readonly name?: string | undefined;
  /** A service account: a program that signs in as itself. */
  readonly service?: {
    readonly roles: readonly Permission[];
    /** Servers that it may get tokens for; empty: all that its roles allow. */
    readonly servers: readonly string[];
    /** Named scopes of its one server, granted with it. */
    readonly scopes: readonly string[];
    /** What it shows in place of a secret: tokens of its platform, or what it has signed with one of these keys. */
    readonly proof?: 'workload' | { readonly keys: readonly unknown[] } | undefined;
  };
  /** The client that an MCP server itself is. */
  readonly server?: { readonly name: string; readonly exchangeTo: readonly string[] };
  /** An app that people sign in with. */
  readonly app?: { readonly redirectUris: readonly string[]; readonly secret: boolean };
}

/** A client, and the secret that is shown this once. */
export interface MadeClient {
  readonly client: OauthClient;
  readonly secret?: string;
}

const clientId = z
  .string()
  .regex(
    /^[a-z0-9][a-z0-9._-]{0,62}$/,
    'must have lower-case letters, digits, dots, dashes and underscores, at most 63',
  )
  .refine((id) => !id.startsWith('dyn_'), 'must not begin like the ids of apps that register themselves');
const displayName = z.string().trim().min(1, 'must not be empty').max(100, 'must have at most 100 characters');
const redirectUri = z
  .string()
  .max(2000)
  .refine(isRedirect, 'must be https, http on this machine, or a scheme of the app');
const keySet = z
  .array(z.looseObject({ kty: z.enum(['EC', 'OKP', 'RSA']), d: z.undefined('must be public').optional() }))
  .min(1)
  .max(10);

const exchange = 'urn:ietf:params:oauth:grant-type:token-exchange';
const jwtBearer = 'urn:ietf:params:oauth:grant-type:jwt-bearer';

/** Clients, registered and changed by admins. Each change and its event are one transaction. */
export class ClientAdministration {
  readonly #database: Database;
  readonly #servers: readonly McpServerConfig[];
  readonly #clients: ClientService;

  constructor(database: Database, servers: readonly McpServerConfig[] = []) {
    this.#database = database;
    this.#servers = servers;
    this.#clients = new ClientService(database);
  }

  /** @throws ForbiddenError */
  async list(actor: Actor, options: { readonly dynamic: boolean; readonly limit: number }): Promise<OauthClient[]> {
    requireAdmin(actor, 'The list of clients');
    return this.#clients.list(options);
  }

  /** @throws NotFoundError, ForbiddenError */
  async show(actor: Actor, id: string): Promise<OauthClient & { readonly secrets: readonly LiveSecret[] }> {
    requireAdmin(actor, 'What is known of clients');
    return this.#clients.show(id);
  }

  /** @throws UsageError, NotFoundError for a server, ConflictError when the id is taken, ForbiddenError */
  async create(actor: Actor, draft: ClientDraft): Promise<MadeClient> {
    requireAdmin(actor, 'Adding clients');
    const id = checked(clientId, draft.id, 'The id');
    const name = checked(displayName, draft.name ?? id, 'The name');
    const { service, server, app } = draft;
    return this.#database.transaction(async (tx) => {
      let made: MadeClient;
      if (service !== undefined) made = await this.#service(tx, actor, { id, name, ...service });
      else if (server !== undefined) {
        const targets = this.#known(server.exchangeTo);
        const metadata = { grant_types: [exchange], response_types: [], redirect_uris: [] };
        const [own] = this.#known([server.name]);
        const client = { id, name, kind: 'registered', server: own, targets } as const;
        made = await this.#insert(tx, { ...client, metadata: withMethod(metadata, 'client_secret_basic') });
      } else if (app !== undefined) {
        const client = { id, name, kind: 'registered', metadata: appMetadata(app) } as const;
        made = await this.#insert(tx, client);
      } else throw new UsageError('What is the client? A service account, a server, or an app with a redirect address');
      const { kind, userId } = made.client;
      await this.#record(tx, 'client_registered', actor, id, { name, kind, account: userId });
      return made;
    });
  }

  /** @throws NotFoundError; UsageError; ForbiddenError for a client that is built in, or who is no admin */
  async update(
    actor: Actor,
    id: string,
    change: {
      readonly name?: string | undefined;
      readonly redirectUris?: readonly string[] | undefined;
      readonly targets?: readonly string[] | undefined;
      readonly status?: 'active' | 'disabled' | undefined;
    },
  ): Promise<OauthClient> {
    requireAdmin(actor, 'Changing clients');
    const name = change.name === undefined ? undefined : checked(displayName, change.name, 'The name');
    const targets = change.targets && this.#known(change.targets);
    const { redirectUris: uris, status } = change;
    const before = await this.#clients.show(id);
    return this.#database.transaction(async (tx) => {
      const isApp = (before.metadata['redirect_uris'] as unknown[] | undefined)?.length !== 0;
      if (uris !== undefined && !isApp) throw new UsageError(`${id} is no app that people are sent back to`);
      if (targets !== undefined && isApp)
        throw new UsageError(`${id} is an app: it gets tokens in people's names only`);
      const metadata = uris && { ...before.metadata, ...redirects(uris) };
      const client = await this.#clients.update(tx, id, { name, targets, status, metadata });
      const fields = Object.entries({ name, redirect_uris: uris, targets, status }).flatMap(([field, value]) =>
        value === undefined ? [] : [field],
      );
      await this.#record(tx, 'client_changed', actor, id, { fields, status });
      return client;
    });
  }

  /** Removes a client; everything that was issued to it ends, and so does what was granted to it. @throws as `update` */
  async delete(actor: Actor, id: string): Promise<OauthClient> {
    requireAdmin(actor, 'Deleting clients');
    return this.#database.transaction(async (tx) => {
      const client = await this.#clients.delete(tx, id);
      await this.#record(tx, 'client_removed', actor, id, { name: client.name, kind: client.kind });
      // Whoever gets the same id one day is somebody else.
      const subject = { type: 'client', id } as const;
      const grants = await listGrants(tx, { subject, limit: null });
      const revoked = grants.map((grant) => grant.id);
      await revokeGrants(tx, revoked, actor.userId);
      for (const { id: grant, scope, server } of grants) {
        await this.#record(
          tx,
          'grant_revoked',
          actor,
          id,
          { grant, subject_type: 'client', subject: id, scope },
          server,
        );
      }
      return client;
    });
  }

  /** @throws as `update`; ConflictError when the client has no secret by its nature */
  async rotateSecret(
    actor: Actor,
    id: string,
    options: { readonly revokeOld: boolean },
  ): Promise<{ readonly secret: string; readonly revoked: number }> {
    requireAdmin(actor, 'Secrets of clients');
    return this.#database.transaction(async (tx) => {
      const rotated = await this.#clients.rotateSecret(tx, id, options);
      await this.#record(tx, 'client_changed', actor, id, { fields: ['secret'], revoked: rotated.revoked });
      return rotated;
    });
  }

  async #service(
    tx: Queryable,
    actor: Actor,
    draft: { readonly id: string; readonly name: string } & NonNullable<ClientDraft['service']>,
  ): Promise<MadeClient> {
    const { id, name, proof } = draft;
    const targets = this.#known(draft.servers);
    const user = await this.#account(tx, actor, draft);
    const keys = typeof proof === 'object' ? checked(keySet, proof.keys, 'The keys') : undefined;
    const form = { response_types: [], redirect_uris: [] };
    const metadata =
      proof === 'workload'
        ? withMethod({ ...form, grant_types: [jwtBearer, exchange] }, 'none')
        : keys !== undefined
          ? withMethod({ ...form, grant_types: ['client_credentials'], jwks: { keys } }, 'private_key_jwt')
          : withMethod({ ...form, grant_types: ['client_credentials'] }, 'client_secret_basic');
    const made = await this.#insert(tx, { id, name, kind: 'service', userId: user.id, targets, metadata });
    for (const scope of draft.scopes) {
      const server = this.#scopeServer(draft.servers, scope);
      const what = { subject: { type: 'client' as const, id }, server, scope };
      const grant = await insertGrant(tx, { ...what, by: actor.userId });
      await this.#record(tx, 'grant_added', actor, id, { grant, subject_type: 'client', subject: id, scope }, server);
    }
    return made;
  }

  /** The service account by the client's name: a new one, or one that is there and is no client yet. */
  async #account(
    tx: Queryable,
    actor: Actor,
    draft: { readonly id: string; readonly name: string; readonly roles: readonly Permission[] },
  ): Promise<User> {
    const known = await findUserByName(tx, draft.id);
    if (known !== undefined) {
      if (known.kind === 'service' && known.status === 'active' && draft.roles.length === 0) return known;
      throw new ConflictError(`There is a user ${draft.id} already`, {
        hint: 'Take another id; a service account that is there is used when no role is named.',
        next: ['admin users list'],
      });
    }
    const roles = draft.roles.length === 0 ? (['service'] as const) : draft.roles;
    const user = { name: draft.id, displayName: draft.name, email: undefined, roles, kind: 'service' } as const;
    const added = await insertUser(tx, user);
    if (added === undefined) throw new Error(`The user ${draft.id} is not there after it was added`);
    const data = { change: 'created', name: draft.id, kind: 'service', roles };
    await recordIdentityEvent(tx, { type: 'user_changed', userId: added.id, actorId: actor.userId, data });
    return added;
  }

  #insert(tx: Queryable, client: NewClient): Promise<MadeClient> {
    return this.#clients.create(tx, client, client.metadata['token_endpoint_auth_method'] === 'client_secret_basic');
  }

  /** @throws NotFoundError for a server that is not configured */
  #known(names: readonly string[]): string[] {
    for (const name of names) {
      if (name !== 'instance' && !this.#servers.some((server) => server.name === name)) throw unknownServer(name);
    }
    return [...new Set(names)];
  }

  #scopeServer(names: readonly string[], scope: string): string {
    const [name, ...others] = names;
    const server = this.#servers.find((one) => one.name === name);
    if (server === undefined || others.length > 0) {
      throw new UsageError('Scopes are of one server', { hint: 'Name it with --server, and others later.' });
    }
    const known = namedScopes(server);
    if (known.includes(scope)) return server.name;
    throw new UsageError(`Nothing of ${server.name} asks for the scope ${scope.slice(0, 80)}`, {
      hint:
        known.length === 0 ? 'It asks for tiers only, which come with a role.' : `It asks for: ${known.join(', ')}.`,
      data: { server: server.name, scope, known },
    });
  }

  #record(
    tx: Queryable,
    type: IdentityEventType,
    actor: Actor,
    clientId: string,
    data: Record<string, string | number | readonly string[] | undefined>,
    resource?: string,
  ): Promise<void> {
    return recordIdentityEvent(tx, { type, actorId: actor.userId, clientId, resource, data });
  }
}

function withMethod(metadata: ClientMetadata, method: string): ClientMetadata {
  return { ...metadata, token_endpoint_auth_method: method };
}

function appMetadata({ redirectUris, secret }: NonNullable<ClientDraft['app']>): ClientMetadata {
  const form = { grant_types: ['authorization_code', 'refresh_token'], response_types: ['code'] };
  return withMethod({ ...form, ...redirects(redirectUris) }, secret ? 'client_secret_basic' : 'none');
}

function redirects(uris: readonly string[]): ClientMetadata {
  if (uris.length === 0) throw new UsageError('An app has at least one redirect address');
  const redirect_uris = uris.map((uri) => checked(redirectUri, uri, `The redirect address ${uri.slice(0, 80)}`));
  const native = uris.some((uri) => !uri.startsWith('https:'));
  return { redirect_uris, application_type: native ? 'native' : 'web' };
}

function isRedirect(uri: string): boolean {
  const url = URL.parse(uri);
  if (url === null || uri.includes('#') || url.username !== '' || url.password !== '') return false;
  if (url.protocol === 'http:') return ['localhost', '127.0.0.1', '[::1]'].includes(url.hostname);
  return !/^(javascript|vbscript|data|blob|file|about|ftp|wss?|mailto|tel):$/.test(url.protocol);
}
