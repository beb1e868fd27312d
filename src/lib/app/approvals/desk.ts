import {
  approvalsChannel,
  findApproval,
  openApproval,
  spendApproval,
  type ToolApproval,
} from '../../domain/governance/index.ts';
import type { Database } from '../../infra/database/connection.ts';
import { CancelledError, ForbiddenError, toAppError } from '../../shared/errors.ts';
import type { ExecutionId } from '../../shared/ids.ts';
import type { Question, ToolCall } from '../executor/call.ts';
import { toolName } from '../executor/rows.ts';
import type { Approval, ApprovalDesk, ApprovalRequest } from '../policy/policy.ts';
import { decide } from './decide.ts';

export interface DeskOptions {
  readonly database: Pick<Database, 'query' | 'transaction' | 'listen'>;
  /** How long a question is open, and an approval can be used, in s; an hour unless told. */
  readonly ttlSeconds?: number;
  /** How long a call waits for somebody to answer, in ms; five minutes unless told. */
  readonly waitMs?: number;
}

/** Longest part of the arguments that a question shows, in characters. */
const maxShown = 1500;

/** Asks people whether a call may be made. Everything about it is in rows: any API process may hear the answer. */
export class Approvals implements ApprovalDesk {
  readonly #database: DeskOptions['database'];
  readonly #ttlSeconds: number;
  readonly #waitMs: number;
  readonly #waiting = new Map<string, Set<() => void>>();
  #listening: Promise<() => Promise<void>> | undefined;

  constructor(options: DeskOptions) {
    this.#database = options.database;
    this.#ttlSeconds = options.ttlSeconds ?? 3600;
    this.#waitMs = options.waitMs ?? 300_000;
  }

  async obtain(request: ApprovalRequest, call: ToolCall): Promise<Approval> {
    const { claims, server, asker } = call;
    let approval = await this.#database.transaction((tx) =>
      openApproval(tx, {
        userId: claims.sub,
        userName: claims.name,
        client: claims.client,
        sessionId: claims.sid,
        server: server.name,
        tool: toolName(call),
        inputDigest: request.digest,
        inputJson: request.inputJson,
        policyVersion: request.policyVersion,
        reason: request.reason,
        approver: request.approver,
        ttlSeconds: this.#ttlSeconds,
      }),
    );
    if (approval.state === 'waiting' && approval.approver === 'caller' && asker !== undefined) {
      approval = await this.#ask(approval, call);
    }
    if (approval.state === 'approved') return { id: approval.id, by: approval.decidedByName ?? '' };
    if (approval.state === 'denied') throw denied(approval);
    throw needed(approval, asker !== undefined && asker.ask === undefined);
  }

  async use({ id }: Approval, executionId: ExecutionId): Promise<void> {
    if (await spendApproval(this.#database, id, executionId)) return;
    throw new ForbiddenError('The approval of this call was used up, or its time is over.', {
      hint: 'Call again to ask for another one.',
      data: { reason: 'approval', approval: { id } },
    });
  }

  /**
   * The answer of somebody who was asked at their client. What is not theirs to answer, or is answered already, is no
   * matter: the row says what holds.
   */
  async answered(
    id: string,
    accepted: boolean,
    by: { readonly sub: string; readonly name: string; readonly client: string },
  ): Promise<void> {
    const approval = await findApproval(this.#database, id);
    const theirs = approval?.userId === by.sub && approval.client === by.client && approval.approver === 'caller';
    if (!theirs || approval.state !== 'waiting') return;
    const decider = { userId: by.sub, userName: by.name, through: 'client' } as const;
    try {
      await decide(this.#database, id, accepted ? 'approved' : 'denied', decider);
    } catch (error) {
      // Somebody was quicker.
      if (toAppError(error).code !== 'CONFLICT') throw error;
    }
  }

  async close(): Promise<void> {
    const stop = await this.#listening?.catch(() => undefined);
    await stop?.();
  }

  async #ask(approval: ToolApproval, call: ToolCall): Promise<ToolApproval> {
    const { asker, claims } = call;
    if (asker?.answer?.id === approval.id) {
      await this.answered(approval.id, asker.answer.accepted, claims);
      return (await findApproval(this.#database, approval.id)) ?? approval;
    }
    if (asker?.ask === undefined) return approval;
    return await this.#decided(approval, call, asker.ask);
  }

  /** Waits until somebody has decided, wherever, or has not for too long. @throws CancelledError when the caller left */
  async #decided(
    approval: ToolApproval,
    call: ToolCall,
    ask: (question: Question) => () => void,
  ): Promise<ToolApproval> {
    await this.#listen();
    const { id } = approval;
    let wake = () => {};
    const news = () =>
      new Promise<void>((resolve) => {
        wake = resolve;
      });
    const listener = () => wake();
    const listeners = this.#waiting.get(id) ?? new Set();
    this.#waiting.set(id, listeners.add(listener));
    const until = performance.now() + this.#waitMs;
    const timer = setTimeout(listener, this.#waitMs);
    call.cancellation.onCancel(listener);
    const takeBack = ask(questionOf(approval));
    try {
      for (;;) {
        const next = news();
        const now = (await findApproval(this.#database, id)) ?? approval;
        if (call.cancellation.cancelled) throw new CancelledError('The caller took the call back.');
        if (now.state !== 'waiting' || performance.now() >= until) return now;
        await next;
      }
    } finally {
      takeBack();
      clearTimeout(timer);
      listeners.delete(listener);
      if (listeners.size === 0) this.#waiting.delete(id);
    }
  }

  async #listen(): Promise<void> {
    this.#listening ??= this.#database.listen(approvalsChannel, (id, reconnected) => {
      // What was decided while the connection was away nobody told.
      const all = reconnected ? [...this.#waiting.values()] : [this.#waiting.get(id) ?? []];
      for (const listeners of all) for (const listener of listeners) listener();
    });
    try {
      await this.#listening;
    } catch (error) {
      this.#listening = undefined;
      throw error;
    }
  }
}

/** What people are asked: what would be done, with what, and why they are asked. */
function questionOf({ id, server, tool, reason, input }: ToolApproval): Question {
  const text = JSON.stringify(input, undefined, 2) ?? '';
  const shown = text.length > maxShown ? `${text.slice(0, maxShown).toWellFormed()}…` : text;
  return { id, text: `May ${server} run ${tool}? ${reason}\nArguments: ${shown}` };
}

function needed(approval: ToolApproval, retry: boolean): ForbiddenError {
  const { id, reason, approver } = approval;
  const who = approver === 'other' ? 'an admin other than the caller' : 'an admin';
  return new ForbiddenError(`This call needs an approval: ${reason}`, {
    hint: `Have ${who} approve it, then make the same call again within the hour.`,
    next: [`plugins mcp approvals approve ${id}`],
    data: {
      reason: 'approval',
      approval: { id },
      ...(retry && approver === 'caller' ? { question: questionOf(approval) } : {}),
    },
  });
}

function denied({ id, decidedByName }: ToolApproval): ForbiddenError {
  return new ForbiddenError(`This call was denied by ${decidedByName ?? 'somebody'}.`, {
    data: { reason: 'approval', approval: { id } },
  });
}
