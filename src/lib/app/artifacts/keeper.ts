import { forgetArtifacts, insertArtifacts, type NewArtifact, redactWhole } from '../../domain/governance/index.ts';
import type { McpServerConfig } from '../../domain/mcp/index.ts';
import type { SecretStore } from '../../infra/config/secrets.ts';
import type { Queryable } from '../../infra/database/connection.ts';
import { KnownSecrets } from '../../infra/logging/known-secrets.ts';
import type { Logger } from '../../infra/logging/logger.ts';
import { artifactSchema } from '../../shared/artifact.ts';
import { ForbiddenError, PreconditionError } from '../../shared/errors.ts';
import type { ExecutionId, UserId } from '../../shared/ids.ts';
import type { UpstreamCredentials } from '../bridge/backend.ts';
import { readCredentials } from '../bridge/credentials.ts';
import type { ToolCall } from '../executor/call.ts';
import type { ArtifactKeeper } from '../executor/executor.ts';
import { toolName } from '../executor/rows.ts';
import { serverVariables } from '../secrets/variables.ts';
import type { UpstreamCredentialSource } from '../upstream/credentials.ts';

export interface KeptArtifactsOptions {
  readonly database: Queryable;
  /** How long they are kept; 0: none are. */
  readonly days: number;
  /** Holds what servers are given as variables: a tool that returns such a value returns a secret. */
  readonly secrets: Pick<SecretStore, 'get' | 'fingerprint'>;
  /** What servers behind are sent with a user's requests: they may return it. */
  readonly credentials?: Pick<UpstreamCredentialSource, 'headerFor'> | undefined;
  readonly log: Pick<Logger, 'warn'>;
}

interface Waiting {
  readonly server: McpServerConfig;
  readonly artifact: NewArtifact;
}

/** Largest artifact that is kept whole, in characters of JSON; of a larger one its type, title and size are. */
const maxLength = 262_144;
/** How many wait at most; further ones are not kept. */
const maxWaiting = 500;
const writeMs = 100;
const sweepMs = 3_600_000;
const maxTitle = 300;

/**
 * Keeps what tools return as artifacts, redacted, written behind the answers: nobody waits for it. What the audit says does
 * not depend on it; an artifact that could not be kept is missed in the log.
 */
export class KeptArtifacts implements ArtifactKeeper {
  readonly #options: KeptArtifactsOptions;
  readonly #sweeper: NodeJS.Timeout;
  #waiting: Waiting[] = [];
  #timer: NodeJS.Timeout | undefined;
  #writing: Promise<void> = Promise.resolve();

  constructor(options: KeptArtifactsOptions) {
    this.#options = options;
    this.#sweeper = setInterval(() => {
      forgetArtifacts(options.database).catch((err) => options.log.warn({ err }, 'Old artifacts could not be removed'));
    }, sweepMs).unref();
  }

  keep(call: ToolCall, executionId: ExecutionId, structured: Readonly<Record<string, unknown>>): void {
    // Most structured results are no artifacts: a look before the schema's.
    if (this.#options.days === 0 || typeof structured['type'] !== 'string') return;
    const parsed = artifactSchema.safeParse(structured);
    if (!parsed.success) return;
    if (this.#waiting.length >= maxWaiting) {
      this.#options.log.warn({ executionId }, 'An artifact was not kept: too many wait');
      return;
    }
    const { data } = parsed;
    const json = JSON.stringify(data);
    const small = json.length <= maxLength;
    const title = 'title' in data && data.title !== undefined ? String(redactWhole(data.title)) : undefined;
    const artifact: NewArtifact = {
      executionId,
      userId: call.claims.sub,
      server: call.server.name,
      tool: toolName(call),
      type: data.type,
      title: title?.slice(0, maxTitle).toWellFormed(),
      artifact: small ? redactWhole(data, call.server.tools.get(call.tool)?.secret) : undefined,
      bytes: Buffer.byteLength(json),
    };
    this.#waiting.push({ server: call.server, artifact });
    this.#timer ??= setTimeout(() => this.#write(), writeMs);
  }

  /** Writes what waits. */
  async close(): Promise<void> {
    clearInterval(this.#sweeper);
    this.#write();
    await this.#writing;
  }

  #write(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#waiting.length === 0) return;
    const { database, days, log } = this.#options;
    const waiting = this.#waiting;
    this.#waiting = [];
    this.#writing = this.#writing
      .then(async () => insertArtifacts(database, await this.#withoutValues(waiting), days))
      .catch((err: unknown) => log.warn({ err, artifacts: waiting.length }, 'Artifacts could not be kept'));
  }

  /** Without the values of secrets that the servers were given: neither a name nor a form tells those. */
  async #withoutValues(waiting: readonly Waiting[]): Promise<NewArtifact[]> {
    const known = new Map<string, KnownSecrets>();
    const keyOf = ({ server, artifact }: Waiting): string => `${server.name} ${artifact.userId}`;
    for (const one of waiting) {
      if (!known.has(keyOf(one))) known.set(keyOf(one), await this.#secretsOf(one.server, one.artifact.userId));
    }
    return waiting.map((one) => {
      const { artifact } = one;
      const blank = (text: string): string => known.get(keyOf(one))?.blankOwn(text) ?? text;
      const { title } = artifact;
      return {
        ...artifact,
        title: title === undefined ? undefined : blank(title),
        artifact: blanked(artifact.artifact, blank),
      };
    });
  }

  async #secretsOf(server: McpServerConfig, userId: NewArtifact['userId']): Promise<KnownSecrets> {
    const { env, secret } = await serverVariables(server, this.#options.secrets);
    const known = new KnownSecrets();
    for (const name of secret) known.add(env[name] ?? '');
    for (const value of await this.#upstreamSecrets(server.name, userId)) known.add(value);
    return known;
  }

  /** @throws DatabaseUnavailableError: what can't be looked through is not kept */
  async #upstreamSecrets(server: string, userId: NewArtifact['userId']): Promise<string[]> {
    let sent: UpstreamCredentials | undefined;
    try {
      sent = readCredentials(await this.#options.credentials?.headerFor(server, userId as UserId));
    } catch (error) {
      // Taken back since the call: then nobody knows it here.
      if (error instanceof ForbiddenError || error instanceof PreconditionError) return [];
      throw error;
    }
    if (sent === undefined) return [];
    // Of "Bearer …" the server may return the key alone.
    const headers = Object.values(sent.headers).flatMap((value) => [value, value.slice(value.indexOf(' ') + 1)]);
    return [...headers, ...Object.values(sent.variables)];
  }
}

/** A value from `JSON.parse` with every text in it, names of members too, as `blank` leaves it. */
function blanked(value: unknown, blank: (text: string) => string): unknown {
  if (typeof value === 'string') return blank(value);
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map((item) => blanked(item, blank));
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [blank(key), blanked(item, blank)]));
}
