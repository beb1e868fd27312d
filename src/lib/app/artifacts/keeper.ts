import { forgetArtifacts, insertArtifacts, type NewArtifact, redactWhole } from '../../domain/governance/index.ts';
import type { Queryable } from '../../infra/database/connection.ts';
import type { Logger } from '../../infra/logging/logger.ts';
import { artifactSchema } from '../../shared/artifact.ts';
import type { ExecutionId } from '../../shared/ids.ts';
import type { ToolCall } from '../executor/call.ts';
import type { ArtifactKeeper } from '../executor/executor.ts';
import { toolName } from '../executor/rows.ts';

export interface KeptArtifactsOptions {
  readonly database: Queryable;
  /** How long they are kept; 0: none are. */
  readonly days: number;
  readonly log: Pick<Logger, 'warn'>;
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
  #waiting: NewArtifact[] = [];
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
    this.#waiting.push({
      executionId,
      userId: call.claims.sub,
      server: call.server.name,
      tool: toolName(call),
      type: data.type,
      title: title?.slice(0, maxTitle).toWellFormed(),
      artifact: small ? redactWhole(data, call.server.tools.get(call.tool)?.secret) : undefined,
      bytes: Buffer.byteLength(json),
    });
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
    const artifacts = this.#waiting;
    this.#waiting = [];
    this.#writing = this.#writing
      .then(() => insertArtifacts(database, artifacts, days))
      .catch((err: unknown) => log.warn({ err, artifacts: artifacts.length }, 'Artifacts could not be kept'));
  }
}
