import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Identity, openIdentity } from '../../src/lib/app/identity.ts';
import { resourceServers } from '../../src/lib/app/resources.ts';
import type { McpServerConfig } from '../../src/lib/domain/mcp/index.ts';
import { createLocalInstance } from '../../src/lib/infra/config/instance.ts';
import { openSecretStore, type SecretStore } from '../../src/lib/infra/config/secrets.ts';
import { type Database, openDatabase } from '../../src/lib/infra/database/connection.ts';
import { createTestDatabase, type TestDatabase } from './database.ts';

export interface TestIdentity {
  readonly database: Database;
  /** The same database as its owner, to arrange what the application's role may not. */
  readonly owner: Database;
  readonly testDatabase: TestDatabase;
  readonly secrets: SecretStore;
  readonly identity: Identity;
  /** A second process's view: its own pool and memory on the same database and secrets. */
  openAnother(): Promise<{ readonly identity: Identity; readonly database: Database; close(): Promise<void> }>;
  close(): Promise<void>;
}

export const externalUrl = 'http://localhost:8080';
export const maxTtlSeconds = 3600;

/** Identity on a database, an instance and keys of its own. */
export async function openTestIdentity(
  issuer = externalUrl,
  servers: readonly McpServerConfig[] = [],
): Promise<TestIdentity> {
  const root = await mkdtemp(join(tmpdir(), 'sp-identity-'));
  const testDatabase = await createTestDatabase();
  const secrets = await openSecretStore(await createLocalInstance(root));
  const profile = {
    server: { external_url: externalUrl },
    security: { issuer, access_token_ttl_seconds: maxTtlSeconds },
  };
  const open = async () => {
    const database = openDatabase(testDatabase.app, { poolSize: 4, actor: 'system' });
    const identity = await openIdentity({
      database,
      secrets,
      profile,
      resources: resourceServers(servers, { externalUrl, maxTtlSeconds }),
    });
    const close = async () => {
      await identity.close();
      await database.close();
    };
    return { identity, database, close };
  };
  const owner = openDatabase(testDatabase.owner, { poolSize: 1 });
  const first = await open();
  return {
    testDatabase,
    secrets,
    owner,
    identity: first.identity,
    database: first.database,
    openAnother: open,
    close: async () => {
      await first.close();
      await owner.close();
      await testDatabase.drop();
      await rm(root, { recursive: true, force: true });
    },
  };
}

/** Waits until a condition holds; fails with what it was waiting for. */
export async function until(
  what: string,
  condition: () => boolean | Promise<boolean>,
  deadlineMs = 5000,
): Promise<void> {
  const end = performance.now() + deadlineMs;
  while (!(await condition())) {
    if (performance.now() > end) throw new Error(`Waited ${deadlineMs} ms in vain until ${what}`);
    await new Promise((done) => setTimeout(done, 5));
  }
}

/** The reason for which an UnauthenticatedError was thrown, else what happened instead. */
export async function refusalOf(work: Promise<unknown>): Promise<unknown> {
  try {
    await work;
    return 'accepted';
  } catch (error) {
    if (error instanceof Error && 'data' in error) return (error.data as { reason?: unknown }).reason ?? error;
    throw error;
  }
}
