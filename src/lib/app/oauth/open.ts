import { ClientStore } from '../../domain/auth/index.ts';
import type { McpServerConfig } from '../../domain/mcp/index.ts';
import type { SecretStore } from '../../infra/config/secrets.ts';
import type { Database } from '../../infra/database/connection.ts';
import type { Logger } from '../../infra/logging/logger.ts';
import { DatabaseEntitlements, type Entitlements } from '../access/entitlements.ts';
import { addressReader } from '../caller-address.ts';
import type { Identity } from '../identity.ts';
import { BrowserSessions } from '../people/browser-sessions.ts';
import { Throttle } from '../people/throttle.ts';
import { type ResourceServers, resourceServers } from '../resources.ts';
import { type MachineSettings, openMachines } from './machines/open.ts';
import type { OAuthPages } from './pages.ts';
import { AuthorizationServer } from './server.ts';
import { oauthSettings } from './settings.ts';

/** How people and programs come to tokens, and what decides about it. */
export interface Authorization {
  readonly server: AuthorizationServer;
  readonly clients: ClientStore;
  readonly resources: ResourceServers;
  readonly entitlements: Entitlements;
  readonly browser: BrowserSessions;
  close(): Promise<void>;
}

/** @throws DatabaseUnavailableError */
export async function openAuthorization(deps: {
  readonly database: Database;
  readonly secrets: Pick<SecretStore, 'open' | 'fingerprint'>;
  readonly identity: Identity;
  readonly servers: readonly McpServerConfig[];
  readonly profile: {
    readonly server: { readonly external_url: string; readonly trusted_proxies: readonly string[] };
    readonly security: Parameters<typeof oauthSettings>[0] & MachineSettings;
  };
  readonly pages: OAuthPages;
  readonly log: Logger;
}): Promise<Authorization> {
  const { database, profile } = deps;
  const externalUrl = profile.server.external_url;
  const settings = oauthSettings(profile.security);
  const clients = await ClientStore.open(database);
  const resources = resourceServers(deps.servers, { externalUrl, maxTtlSeconds: settings.maxTokenTtl });
  const entitlements = new DatabaseEntitlements(database);
  const browser = new BrowserSessions({ database, externalUrl });
  const addressOf = addressReader(profile.server.trusted_proxies);
  const codeAttempts = new Throttle(database);
  const parts = { ...deps, clients, resources, entitlements, addressOf };
  const machines = await openMachines({ ...parts, issuer: settings.issuer, settings: profile.security });
  const server = new AuthorizationServer({ ...parts, settings, machines, browser, codeAttempts });
  return {
    server,
    clients,
    resources,
    entitlements,
    browser,
    close: async () => {
      server.close();
      await machines.close();
      await clients.close();
    },
  };
}
