import { randomBytes } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair } from 'jose';
import { type Configuration, errors, Provider } from 'oidc-provider';
import { DatabaseEntitlements } from '../../src/lib/app/access/entitlements.ts';
import { mcpAudience } from '../../src/lib/app/identity.ts';
import { ClientDocuments } from '../../src/lib/app/oauth/clients/documents.ts';
import { type ClientPolicyDependencies, clientPolicy } from '../../src/lib/app/oauth/clients/policy.ts';
import { MachineGrants } from '../../src/lib/app/oauth/machines/grants.ts';
import { installMachines } from '../../src/lib/app/oauth/machines/install.ts';
import { type WorkloadRule, Workloads } from '../../src/lib/app/oauth/machines/workloads.ts';
import type { ResourceServer } from '../../src/lib/app/resources.ts';
import { ClientService, ClientStore, type NewClient } from '../../src/lib/domain/auth/index.ts';
import { createGuardedFetch, type GuardedFetch } from '../../src/lib/infra/http/guarded-fetch.ts';
import type { UserId } from '../../src/lib/shared/ids.ts';
import type { Permission } from '../../src/lib/shared/permission.ts';
import { externalUrl, openTestIdentity, type TestIdentity } from './identity.ts';

export interface MachineProvider {
  readonly issuer: string;
  readonly test: TestIdentity;
  readonly provider: Provider;
  readonly clients: ClientStore;
  readonly grants: MachineGrants;
  readonly resources: Map<string, ResourceServer>;
  /** A form to an endpoint of the provider. */
  post(
    path: string,
    form: Record<string, string | readonly string[] | undefined>,
    headers?: Record<string, string>,
  ): Promise<Answer>;
  token(
    form: Record<string, string | readonly string[] | undefined>,
    client?: { readonly id: string; readonly secret: string },
    headers?: Record<string, string>,
  ): Promise<Answer>;
  /** Adds a service account with its client. */
  service(id: string, options?: ServiceOptions): Promise<{ id: string; secret: string; userId: UserId }>;
  /** Adds a client of any kind. */
  client(client: Partial<NewClient> & { id: string }): Promise<{ id: string; secret: string }>;
  close(): Promise<void>;
}

interface ServiceOptions {
  readonly roles?: readonly Permission[];
  readonly targets?: readonly string[];
  readonly metadata?: object;
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Record<string, unknown>;
}

export interface MachineProviderOptions {
  readonly workloads?: readonly Omit<WorkloadRule, 'claims' | 'ttlSeconds' | 'privateNetwork'>[] & readonly object[];
  readonly rules?: readonly WorkloadRule[];
  /** How documents of clients are fetched. */
  readonly documentFetch?: GuardedFetch;
  readonly hosts?: readonly string[];
  readonly registration?: Partial<ClientPolicyDependencies['registration']>;
}

export const audienceOf = (server: string): string => mcpAudience(externalUrl, server);

/** A resource server by that name, with the scopes `user`, `tools:read`, `tools:write` and `mcp`. */
export function resourceServer(name: string, more: Partial<ResourceServer> = {}): ResourceServer {
  const scope = (scopeName: string, sensitive = false) => ({ name: scopeName, description: scopeName, sensitive });
  return {
    audience: audienceOf(name),
    name,
    kind: 'mcp',
    displayName: name,
    scopes: [scope('user'), scope('service'), scope('tools:read'), scope('tools:write', true)],
    defaultScopes: ['user', 'service', 'tools:read'],
    openScopes: ['tools:read'],
    tokenTtlSeconds: 600,
    requireDpop: false,
    ownKey: false,
    clients: undefined,
    issuers: [],
    ...more,
  };
}

/** An authorization server for machines alone, in this process, on a database of its own. */
export async function openMachineProvider(options: MachineProviderOptions = {}): Promise<MachineProvider> {
  let handler: (request: never, response: never) => void = () => undefined;
  const server: Server = createServer((request, response) => handler(request as never, response as never));
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const test = await openTestIdentity(issuer);
  const { database } = test;
  const clients = await ClientStore.open(database);
  const resources = new Map<string, ResourceServer>(
    ['alpha', 'beta', 'gamma'].map((name) => [name, resourceServer(name)]),
  );
  const addressOf = () => '203.0.113.5';
  const grants = await MachineGrants.open({
    database,
    issuer,
    clients,
    resources: {
      all: () => [...resources.values()],
      byName: (name) => resources.get(name),
      byAudience: (audience) => [...resources.values()].find((resource) => resource.audience === audience),
    },
    entitlements: new DatabaseEntitlements(database),
    keys: test.identity.keys,
    verifier: test.identity.verifier,
    users: test.identity.users,
    workloads: new Workloads({ rules: options.rules ?? [], ownIssuer: issuer, fetch: createGuardedFetch() }),
    addressOf,
  });
  const policyDeps: ClientPolicyDependencies = {
    clients,
    registration: { mode: 'open', perNetworkPerHour: 1000, maxClients: 1000, ...options.registration },
    documents: new ClientDocuments({ hosts: options.hosts ?? [] }, options.documentFetch ?? createGuardedFetch()),
    addressOf,
    nonceSecret: randomBytes(32),
  };
  const policy = clientPolicy(policyDeps);
  const { privateKey } = await generateKeyPair('ES256', { extractable: true });
  const configuration = {
    ...policy,
    adapter: (name: string) => (name === 'Client' ? clientAdapter(clients) : memoryAdapter()),
    jwks: { keys: [{ ...(await exportJWK(privateKey)), use: 'sig', alg: 'ES256', kid: 'test' }] },
    enabledJWA: { idTokenSigningAlgValues: ['ES256'] },
    responseTypes: ['code'],
    cookies: { keys: ['a'] },
    features: {
      ...policy.features,
      devInteractions: { enabled: false },
      deviceFlow: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => undefined,
        getResourceServerInfo: () => {
          throw new errors.InvalidTarget();
        },
      },
    },
    interactions: { url: () => '/interaction' },
    renderError: (ctx: { body: unknown }, out: object) => {
      ctx.body = out;
    },
  } as unknown as Configuration;
  const provider = new Provider(issuer, configuration);
  installMachines(provider, { grants, policy: policyDeps });
  handler = provider.callback() as never;

  const service = new ClientService(database);
  const post: MachineProvider['post'] = async (path, form, headers = {}) => {
    const body = new URLSearchParams();
    for (const [name, value] of Object.entries(form)) {
      for (const one of [value].flat()) if (one !== undefined) body.append(name, String(one));
    }
    const response = await fetch(`${issuer}${path}`, { method: 'POST', body, headers, redirect: 'manual' });
    const text = await response.text();
    return { status: response.status, headers: response.headers, body: text === '' ? {} : JSON.parse(text) };
  };
  const rig: MachineProvider = {
    issuer,
    test,
    provider,
    clients,
    grants,
    resources,
    post,
    token: (form, client, headers = {}) => post('/token', form, { ...headers, ...(client ? basic(client) : {}) }),
    client: async (client) => {
      const made = await database.transaction((tx) =>
        service.create(
          tx,
          { kind: 'registered', name: client.id, ...client, metadata: { ...machineMetadata, ...client.metadata } },
          client.metadata?.['token_endpoint_auth_method'] === undefined,
        ),
      );
      return { id: client.id, secret: made.secret ?? '' };
    },
    service: async (id, { roles = ['service'], targets = [], metadata = {} } = {}) => {
      const [user] = await database.query<{ id: UserId }>(
        `INSERT INTO users (name, display_name, roles, kind) VALUES ($1, $1, $2, 'service') RETURNING id`,
        [id, roles],
      );
      if (user === undefined) throw new Error('no user');
      const made = await rig.client({ id, kind: 'service', userId: user.id, targets, metadata: { ...metadata } });
      return { ...made, userId: user.id };
    },
    close: async () => {
      server.closeAllConnections();
      server.close();
      await grants.close();
      await clients.close();
      await test.close();
    },
  };
  return rig;
}

const machineMetadata = {
  grant_types: ['client_credentials', 'urn:ietf:params:oauth:grant-type:token-exchange'],
  response_types: [],
  redirect_uris: [],
};

export function basic({ id, secret }: { readonly id: string; readonly secret: string }): Record<string, string> {
  return { authorization: `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}` };
}

function clientAdapter(clients: ClientStore) {
  return {
    ...memoryAdapter(),
    find: async (id: string) => (await clients.find(id)) as never,
    upsert: (id: string, metadata: object) => clients.register(id, metadata as Record<string, unknown>),
    destroy: (id: string) => clients.remove(id),
  };
}

/** What a test of machines needs of the other models: nothing that lasts. */
function memoryAdapter() {
  const rows = new Map<string, object>();
  return {
    find: async (id: string) => rows.get(id),
    upsert: async (id: string, payload: object) => void rows.set(id, payload),
    destroy: async (id: string) => void rows.delete(id),
    consume: async () => undefined,
    findByUid: async () => undefined,
    findByUserCode: async () => undefined,
    revokeByGrantId: async () => undefined,
  };
}
