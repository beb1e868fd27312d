import type { TestProject } from 'vitest/node';
import type { ConnectionConfig } from '../../src/lib/infra/database/connection.ts';
import { startThrowAwayCluster } from './throw-away-cluster.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** Superuser of the throw-away cluster. */
    postgres: ConnectionConfig;
  }
}

/** One cluster for all files of a level; each test makes databases of its own on it. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const cluster = await startThrowAwayCluster();
  project.provide('postgres', cluster.admin);
  return cluster.stop;
}
