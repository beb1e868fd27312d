import type { ClientStore } from '../../../domain/auth/index.ts';
import type { SecretStore } from '../../../infra/config/secrets.ts';
import type { Database } from '../../../infra/database/connection.ts';
import { createGuardedFetch, guardHolds } from '../../../infra/http/guarded-fetch.ts';
import type { Logger } from '../../../infra/logging/logger.ts';
import type { Entitlements } from '../../access/entitlements.ts';
import type { AddressOf } from '../../caller-address.ts';
import type { Identity } from '../../identity.ts';
import type { ResourceServers } from '../../resources.ts';
import type { ClientPolicyDependencies } from '../clients/policy.ts';
import { MachineGrants } from './grants.ts';

/** What the profile says of clients and machines; what it leaves out is as in its schema. */
export interface MachineSettings {
  readonly registration?: 'open' | 'off';
  readonly registration_limits?: {
    readonly per_network_per_hour: number;
    readonly max_clients: number;
    readonly unused_hours: number;
    readonly idle_days: number;
  };
  readonly client_documents?: { readonly mode: 'open' | 'off'; readonly hosts: readonly string[] };
  readonly workload_identity?: readonly {
    readonly issuer: string;
    readonly jwks_uri?: string | undefined;
    readonly audience?: string | undefined;
    readonly subject?: string | undefined;
    readonly claims: Readonly<Record<string, string>>;
    readonly service_account: string;
    readonly ttl_seconds: number;
    readonly private_network: boolean;
  }[];
}

interface Dependencies {
  readonly database: Database;
  readonly secrets: Pick<SecretStore, 'fingerprint'>;
  readonly identity: Pick<Identity, 'keys' | 'verifier' | 'users'>;
  readonly issuer: string;
  readonly settings: MachineSettings;
  readonly clients: ClientStore;
  readonly resources: ResourceServers;
  readonly entitlements: Entitlements;
  readonly addressOf: AddressOf;
  readonly log: Logger;
}

/** What machines and unknown clients may do; of one process, whatever becomes of the provider. */
export interface Machines {
  readonly grants: MachineGrants;
  readonly policy: ClientPolicyDependencies;
  close(): Promise<void>;
}

const limits = { per_network_per_hour: 20, max_clients: 5000, unused_hours: 24, idle_days: 90 };
/** About, so that several processes don't come at the same moment. */
const collectEveryMs = 3_600_000;

/** @throws DatabaseUnavailableError */
export async function openMachines(deps: Dependencies): Promise<Machines> {
  const { settings, log, clients } = deps;
  const [{ ClientDocuments }, { Workloads }] = await Promise.all([
    import('../clients/documents.ts'),
    import('./workloads.ts'),
  ]);
  const fetch = createGuardedFetch();
  const wanted = settings.client_documents ?? { mode: 'open', hosts: [] };
  const documents =
    wanted.mode === 'open' && (await guardHolds(fetch)) ? new ClientDocuments(wanted, fetch) : undefined;
  if (wanted.mode === 'open' && documents === undefined) {
    log.error(
      'Documents of clients are not fetched: the guard that keeps fetches out of the own network does not hold',
    );
  }
  const grants = await MachineGrants.open({
    ...deps,
    keys: deps.identity.keys,
    verifier: deps.identity.verifier,
    users: deps.identity.users,
    workloads: new Workloads({ rules: rulesOf(settings), ownIssuer: deps.issuer, fetch }),
    onRefusal: ({ clientId, error }) =>
      log.warn({ client: clientId, err: error }, 'The token of a workload was not taken'),
  });
  const { per_network_per_hour, max_clients, unused_hours, idle_days } = settings.registration_limits ?? limits;
  const collecting = setInterval(
    () =>
      void clients.collect({ unusedSeconds: unused_hours * 3600, idleSeconds: idle_days * 86_400 }).then(
        (removed) => removed.length > 0 && log.info({ removed }, 'Removed clients that nobody uses'),
        (err: unknown) => log.warn({ err }, 'Clients that nobody uses could not be removed'),
      ),
    collectEveryMs * (0.5 + Math.random()),
  ).unref();
  return {
    grants,
    policy: {
      clients,
      registration: {
        mode: settings.registration ?? 'open',
        perNetworkPerHour: per_network_per_hour,
        maxClients: max_clients,
      },
      documents,
      addressOf: deps.addressOf,
      nonceSecret: Buffer.from(await deps.secrets.fingerprint('nonces of DPoP proofs'), 'base64url'),
    },
    close: async () => {
      clearInterval(collecting);
      await grants.close();
    },
  };
}

function rulesOf({ workload_identity: rules = [] }: MachineSettings) {
  return rules.map((rule) => ({
    issuer: rule.issuer,
    jwksUri: rule.jwks_uri,
    audience: rule.audience,
    subject: rule.subject,
    claims: rule.claims,
    serviceAccount: rule.service_account,
    ttlSeconds: rule.ttl_seconds,
    privateNetwork: rule.private_network,
  }));
}
