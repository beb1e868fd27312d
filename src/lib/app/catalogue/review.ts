import { recordIdentityEvent } from '../../domain/auth/index.ts';
import {
  approveTools,
  lockServerTools,
  type RawTool,
  readDefinition,
  readToolRecords,
  type ToolRecord,
} from '../../domain/mcp/index.ts';
import type { Transactional } from '../../infra/database/connection.ts';
import { ConflictError, NotFoundError, PreconditionError, UsageError } from '../../shared/errors.ts';
import type { UserId } from '../../shared/ids.ts';
import { nearest } from '../../shared/nearest.ts';

/** A tool on record, beside the form that was approved before this one. */
export interface ReviewedTool extends ToolRecord {
  /** Absent when nothing was approved yet, or what is approved is what is listed. */
  readonly before: RawTool | undefined;
}

/** All tools of a server that are on record. @throws PreconditionError when there are none; DatabaseUnavailableError */
export async function toolsOnRecord(database: Transactional, server: string): Promise<ReviewedTool[]> {
  const records = await readToolRecords(database, server);
  if (records.length === 0) {
    throw new PreconditionError(`No tools of ${server} are on record`, {
      hint: 'A server is asked for its tools when it runs',
      next: ['infra services status'],
    });
  }
  return Promise.all(
    records.map(async (record) => {
      const { name, digest, approvedDigest } = record;
      const changed = approvedDigest !== undefined && approvedDigest !== digest;
      const before = changed ? await readDefinition(database, { server, name, digest: approvedDigest }) : undefined;
      return { ...record, before };
    }),
  );
}

/** What is to be approved. */
export interface ApprovalWish {
  readonly server: string;
  readonly tools: readonly string[];
  /** Everything that is held and in which nothing suspicious was found. */
  readonly all: boolean;
  /** Beginning of the digest that whoever approves has seen, of the one tool that is named. */
  readonly digest?: string | undefined;
}

export interface Approved {
  readonly approved: readonly ToolRecord[];
  /** Held still: what is suspicious is approved by name alone, and what is no tool never. */
  readonly left: readonly ToolRecord[];
}

/**
 * Approves tools in the form in which they are held, on record with who did.
 * @throws NotFoundError for a tool that is not there; PreconditionError for one that can't be approved; ConflictError when
 *   the form is not the one that was seen
 */
export async function approve(database: Transactional, wish: ApprovalWish, actor: UserId): Promise<Approved> {
  const { server } = wish;
  if (wish.all === wish.tools.length > 0 || (wish.digest !== undefined && wish.tools.length !== 1)) {
    throw new UsageError('Which tools? Name them, or give --all; --digest goes with one tool', {
      next: [`plugins mcp tools ${server} --diff`],
    });
  }
  return database.transaction(async (tx) => {
    await lockServerTools(tx, server);
    const records = await readToolRecords(tx, server);
    const held = records.filter(({ state }) => state === 'held');
    const chosen = wish.all
      ? held.filter(({ reason, findings }) => reason !== 'invalid' && findings.length === 0)
      : wish.tools.map((name) => named(records, server, name, wish.digest));
    const [first] = chosen;
    if (wish.digest !== undefined && first?.digest.startsWith(wish.digest.toLowerCase()) === false) {
      throw new ConflictError(
        `${first.name} is not in the form that you saw: its digest is ${first.digest.slice(0, 12)}`,
        {
          next: [`plugins mcp tools ${server} --diff`],
        },
      );
    }
    const waiting = chosen.filter(({ state }) => state === 'held');
    const names = await approveTools(tx, server, waiting, actor);
    const approved = waiting.filter(({ name }) => names.includes(name));
    if (approved.length > 0) {
      await recordIdentityEvent(tx, {
        type: 'tools_approved',
        actorId: actor,
        resource: server,
        data: { tools: names, digests: approved.map(({ digest }) => digest) },
      });
    }
    return { approved, left: held.filter(({ name }) => !names.includes(name)) };
  });
}

/** Of a tool that has several forms, because users have lists of their own, the one that is meant. */
function named(records: readonly ToolRecord[], server: string, name: string, wanted: string | undefined): ToolRecord {
  const next = [`plugins mcp tools ${server} --diff`];
  const forms = records.filter((candidate) => candidate.name === name);
  const held = forms.filter(({ state }) => state === 'held');
  const meant = wanted === undefined ? held : forms.filter(({ digest }) => digest.startsWith(wanted.toLowerCase()));
  if (wanted === undefined && held.length > 1) {
    throw new ConflictError(`${name} is held in ${held.length} forms, for users have lists of their own`, {
      hint: 'Say which with --digest.',
      next,
    });
  }
  const record = meant[0] ?? forms[0];
  if (record === undefined) {
    const known = records.map((candidate) => candidate.name);
    const close = nearest(name, known);
    throw new NotFoundError(`${server} has no tool ${name} on record`, {
      next,
      ...(close.length > 0 ? { hint: `Did you mean ${close.join(' or ')}?` } : {}),
    });
  }
  if (record.reason === 'invalid') {
    throw new PreconditionError(`${name} can’t be approved: ${record.findings[0]?.excerpt ?? 'it is no valid tool'}`, {
      next,
    });
  }
  return record;
}
