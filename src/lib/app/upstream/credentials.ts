import { hash } from 'node:crypto';
import type { Claims } from '../../domain/auth/index.ts';
import { credentialsOf, type McpServerConfig } from '../../domain/mcp/index.ts';
import { serverSecretName } from '../../infra/config/secrets/names.ts';
import type { SecretStore } from '../../infra/config/secrets.ts';
import type { Database } from '../../infra/database/connection.ts';
import { ForbiddenError, PreconditionError } from '../../shared/errors.ts';
import { encodeCredentials } from '../bridge/credentials.ts';
import { needsOf, refusedCredential, type UpstreamNeeds } from './needs.ts';
import { type GrantInUse, GrantTokens } from './oauth/grant-tokens.ts';
import { type OAuthServer, OAuthServers } from './oauth/servers.ts';
import { openCredential } from './sealing.ts';

/** How long a secret of the instance is believed to be the same, in ms: nobody tells when it is changed. */
const sharedMs = 5_000;
/** How many users' credentials are kept open, so that memory is bounded. */
const entriesMax = 5_000;

interface Entry {
  readonly header: Promise<string>;
  /** What `header` has come to. */
  value?: string;
  /** By `performance.now()`. */
  until: number;
  /** The sign-in elsewhere that it is of. */
  grant?: GrantInUse | undefined;
}

/** Finds what a request takes along for the server behind. */
export interface UpstreamCredentialSource {
  /**
   * The value of the header `x-systemprompt-upstream`; undefined, at once, for a server that wants none.
   * @param userId undefined when the system asks
   * @throws ForbiddenError with `reason: 'credentials_missing'` and where to give them; PreconditionError for a secret of the
   *   instance that is not set; DatabaseUnavailableError
   */
  headerFor(server: string, userId: Claims['sub'] | undefined): Promise<string> | undefined;
  /**
   * The server elsewhere did not take what it was sent.
   * @param said status and scopes, as the bridge tells them
   * @param sent the header that it was sent: what has taken its place since was not refused
   */
  refused(server: string, userId: Claims['sub'] | undefined, said: string, sent: string | undefined): void;
}

/**
 * The credentials of servers behind the API, shared or of single users. Opened ones are kept in memory and dropped as soon as
 * they are changed, by any process.
 */
export class UpstreamCredentials implements UpstreamCredentialSource {
  readonly #needs: ReadonlyMap<string, UpstreamNeeds>;
  readonly #deps: UpstreamCredentialsDeps;
  readonly #entries = new Map<string, Entry>();
  readonly #tokens: GrantTokens;
  #unlisten: (() => Promise<void>) | undefined;

  private constructor(deps: UpstreamCredentialsDeps) {
    this.#deps = deps;
    this.#tokens = new GrantTokens({ ...deps, servers: deps.oauth ?? new OAuthServers(deps) });
    this.#needs = new Map(
      deps.servers.flatMap((config) => {
        const needs = config.enabled ? needsOf(config) : undefined;
        return needs === undefined ? [] : [[config.name, needs] as const];
      }),
    );
  }

  /** @throws DatabaseUnavailableError */
  static async open(deps: UpstreamCredentialsDeps): Promise<UpstreamCredentials> {
    const source = new UpstreamCredentials(deps);
    if (
      [...source.#needs.values()].some(({ brought }) => brought.length > 0) ||
      source.#tokens.servers.all.length > 0
    ) {
      source.#unlisten = await deps.database.listen('mcp_credentials', (payload, reconnected) => {
        if (reconnected) source.#entries.clear();
        else source.#entries.delete(payload);
      });
    }
    return source;
  }

  headerFor(server: string, userId: Claims['sub'] | undefined): Promise<string> | undefined {
    const needs = this.#needs.get(server);
    if (needs === undefined) return this.#tokenFor(server, userId);
    const own = needs.brought.length > 0;
    // The same as the payload of the notice.
    const id = own ? `${server} ${userId ?? ''}` : server;
    const known = this.#entries.get(id);
    if (known !== undefined && performance.now() < known.until) return known.header;
    const header = own ? this.#ofUser(server, needs, userId) : this.#shared(server, needs);
    const entry = { header, until: own ? Number.POSITIVE_INFINITY : performance.now() + sharedMs };
    return this.#keep(id, entry);
  }

  refused(server: string, userId: Claims['sub'] | undefined, said: string, sent: string | undefined): void {
    const oauth = this.#tokens.servers.get(server);
    if (oauth === undefined) return;
    const id = tokenEntry(oauth, userId);
    const entry = this.#entries.get(id);
    if (entry === undefined || entry.value !== sent) return;
    const [status = '', ...scopes] = said.split(' ');
    if (status === '401') this.#entries.delete(id);
    if (entry.grant === undefined) return;
    const settled = status === '401' ? this.#tokens.refused(entry.grant) : this.#tokens.wanted(entry.grant, scopes);
    // The next call finds out for itself.
    settled.catch(() => undefined);
  }

  #tokenFor(server: string, userId: Claims['sub'] | undefined): Promise<string> | undefined {
    const oauth = this.#tokens.servers.get(server);
    if (oauth === undefined) return undefined;
    const id = tokenEntry(oauth, userId);
    const known = this.#entries.get(id);
    if (known !== undefined && performance.now() < known.until) return known.header;
    const token = this.#tokens.tokenFor(oauth, userId);
    const entry: Entry = {
      // Whoever has the header finds all of it in the entry: it may be refused at once.
      header: token.then(({ accessToken, key, goodMs, grant }) => {
        const value = encodeCredentials({ headers: { authorization: `Bearer ${accessToken}` }, variables: {}, key });
        entry.until = performance.now() + goodMs;
        entry.grant = grant;
        entry.value = value;
        return value;
      }),
      until: Number.POSITIVE_INFINITY,
    };
    return this.#keep(id, entry);
  }

  #keep(id: string, entry: Entry): Promise<string> {
    if (this.#entries.size >= entriesMax) this.#entries.clear();
    this.#entries.set(id, entry);
    // Whoever gives what is missing is not to wait for it to be believed.
    entry.header.catch(() => {
      if (this.#entries.get(id) === entry) this.#entries.delete(id);
    });
    return entry.header;
  }

  async close(): Promise<void> {
    await this.#unlisten?.();
    this.#entries.clear();
  }

  async #shared(server: string, needs: UpstreamNeeds): Promise<string> {
    const { secrets } = this.#deps;
    const name = needs.key?.secret ?? '';
    const value = (await secrets.get(serverSecretName(server, name))) ?? (await secrets.get(name));
    if (value === undefined || refusedCredential(needs, value) !== undefined) {
      throw new PreconditionError(`The secret ${name} of ${server} is not set, or can't be sent`, {
        next: [`cloud secrets set ${name} --server ${server}`],
      });
    }
    return headerOf(needs, new Map([[name, value]]));
  }

  async #ofUser(server: string, needs: UpstreamNeeds, userId: Claims['sub'] | undefined): Promise<string> {
    const { database, secrets, externalUrl } = this.#deps;
    const rows = userId === undefined ? [] : await credentialsOf(database, userId, server);
    const values = new Map<string, string>();
    for (const row of rows) {
      if (!needs.brought.includes(row.name)) continue;
      const value = await openCredential(secrets, row, needs.place);
      if (value !== undefined) values.set(row.name, value);
    }
    const absent = needs.brought.filter((name) => !values.has(name));
    if (absent.length > 0) throw credentialsMissing(server, absent, externalUrl);
    return headerOf(needs, values);
  }
}

export interface UpstreamCredentialsDeps {
  readonly servers: readonly McpServerConfig[];
  readonly database: Pick<Database, 'query' | 'listen'>;
  readonly secrets: Pick<SecretStore, 'get' | 'seal' | 'open'>;
  /** The address of the API, without a slash at its end. */
  readonly externalUrl: string;
  /** Servers that take tokens; found among `servers` unless told. */
  readonly oauth?: OAuthServers;
}

/** The same as the payload of the notice. */
function tokenEntry({ name, auth }: OAuthServer, userId: Claims['sub'] | undefined): string {
  return `${name} ${auth.per === 'shared' ? '' : (userId ?? '')}`;
}

function headerOf(needs: UpstreamNeeds, values: ReadonlyMap<string, string>): string {
  const { key, variables } = needs;
  const secret = key === undefined ? undefined : values.get(key.secret);
  const headers =
    key === undefined || secret === undefined
      ? {}
      : { [key.header]: key.scheme === undefined ? secret : `${key.scheme} ${secret}` };
  const brought = Object.fromEntries(variables.map((name) => [name, values.get(name) ?? '']));
  // 256 bits: whoever sees it can try a short secret, but it goes where the secret itself goes.
  const digest = hash('sha256', JSON.stringify([headers, brought]), 'base64url');
  return encodeCredentials({ headers, variables: brought, key: digest });
}

function credentialsMissing(server: string, names: readonly string[], externalUrl: string): ForbiddenError {
  const url = `${externalUrl}/auth/account#servers`;
  return new ForbiddenError(`The server ${server} needs something of you first: ${names.join(', ')}.`, {
    hint: `Give it on your account page, ${url}, or with the command.`,
    next: [`plugins mcp connect ${server}`],
    data: { reason: 'credentials_missing', server, credentials: names, url },
  });
}
