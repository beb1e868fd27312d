import type { Database } from '../../infra/database/connection.ts';
import type { ServiceInstanceId } from '../../shared/ids.ts';
import type { ServiceState } from './status.ts';
import type { ServicesRow } from './tables.ts';

/** Where a service listens on loopback, and which run of it that is. */
export interface ServiceEndpoint {
  readonly name: string;
  readonly port: number;
  readonly instanceId: ServiceInstanceId;
  readonly state: ServiceState;
  /** Whether it takes requests now: a server that is ready may say of itself that it can't. */
  readonly serving: boolean;
}

const retryMs = 500;

/**
 * The running services in memory, read again whenever the supervisor announces a change. While the database is away
 * the last known picture stays: the processes go on serving.
 */
export class ServiceDirectory {
  readonly #database: Database;
  readonly #installationId: string | undefined;
  readonly #listeners = new Set<() => void>();
  #endpoints = new Map<string, ServiceEndpoint>();
  #unlisten: (() => Promise<void>) | undefined;
  #reading: Promise<void> | undefined;
  #stale = false;
  #retry: NodeJS.Timeout | undefined;
  #closed = false;

  private constructor(database: Database, installationId: string | undefined) {
    this.#database = database;
    this.#installationId = installationId;
  }

  /**
   * @param installationId whose services; the marker in the environment of the supervisor's children unless told,
   *   and every installation's in a database that only one uses when there is neither
   * @throws DatabaseUnavailableError
   */
  static async open(
    database: Database,
    installationId: string | undefined = process.env['SYSTEMPROMPT_INSTANCE'],
  ): Promise<ServiceDirectory> {
    const directory = new ServiceDirectory(database, installationId);
    // Listening first: a change between the read and the subscription would be missed.
    directory.#unlisten = await database.listen('services', () => directory.#reread());
    try {
      await directory.#read();
    } catch (error) {
      await directory.close();
      throw error;
    }
    return directory;
  }

  /** Where the service listens; `undefined` when it has no process. Look at `state` before you call it. */
  endpoint(serviceName: string): ServiceEndpoint | undefined {
    return this.#endpoints.get(serviceName);
  }

  all(): readonly ServiceEndpoint[] {
    return [...this.#endpoints.values()];
  }

  /** @returns a function that unsubscribes */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#retry);
    this.#listeners.clear();
    await this.#unlisten?.();
    await this.#reading;
  }

  /** Reads again now; resolves when that is done. While the database is away the last known picture stays. */
  async refresh(): Promise<void> {
    this.#reread();
    while (this.#reading !== undefined) await this.#reading;
  }

  /** One read at a time; an announcement during a read asks for one more. */
  #reread(): void {
    this.#stale = true;
    this.#reading ??= this.#drain().finally(() => {
      this.#reading = undefined;
      if (this.#stale && !this.#closed) this.#reread();
    });
  }

  async #drain(): Promise<void> {
    while (this.#stale && !this.#closed) {
      this.#stale = false;
      try {
        await this.#read();
      } catch {
        // The listener's own reconnect announces itself, but this read may have failed on a pool that is worse off.
        if (!this.#closed) this.#retry = setTimeout(() => this.#reread(), retryMs);
        return;
      }
      for (const listener of this.#listeners) listener();
    }
  }

  async #read(): Promise<void> {
    const rows = await this.#database.query<Pick<ServicesRow, 'name' | 'port' | 'instance_id' | 'state' | 'serving'>>(
      `SELECT DISTINCT ON (name) name, port, instance_id, state, serving FROM services
       WHERE ($1::uuid IS NULL OR installation_id = $1::uuid)
       ORDER BY name, updated_at DESC`,
      [this.#installationId ?? null],
    );
    const endpoints = rows.flatMap(({ name, port, instance_id: id, state, serving }) =>
      port === null || id === null ? [] : [{ name, port, instanceId: id as ServiceInstanceId, state, serving }],
    );
    this.#endpoints = new Map(endpoints.map((endpoint) => [endpoint.name, endpoint]));
  }
}
