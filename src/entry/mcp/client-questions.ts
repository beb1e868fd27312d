import { randomUUID } from 'node:crypto';
import type { Identity } from '../../lib/infra/security/identity-header.ts';
import { CancelledError, PreconditionError, TimeoutError } from '../../lib/shared/errors.ts';

/** A request of the server to its client. */
export interface Asked {
  readonly method: 'elicitation/create' | 'sampling/createMessage';
  readonly params: Readonly<Record<string, unknown>>;
}

interface Pending {
  readonly identity: Identity;
  readonly settle: (answer: { readonly result?: unknown; readonly error?: unknown }) => void;
}

/** As long as people take. The tool's own time limit ends most questions before. */
const waitMs = 600_000;
/** JSON-RPC */
const methodNotFound = -32_601;

/**
 * The questions that run with clients of the 2025 revisions. They are asked on the stream of the call; the answer is a
 * request of its own, and serving is stateless, so it has to be matched here.
 */
export class ClientQuestions {
  readonly #pending = new Map<string, Pending>();

  get size(): number {
    return this.#pending.size;
  }

  /**
   * @param send puts the request on the stream of the call
   * @returns the client's result
   * @throws PreconditionError when the client can't be asked; TimeoutError; CancelledError
   */
  async ask(
    question: Asked,
    identity: Identity,
    signal: AbortSignal,
    send: (request: Asked & { readonly jsonrpc: '2.0'; readonly id: string }) => Promise<void>,
  ): Promise<unknown> {
    const id = randomUUID();
    const limit = AbortSignal.timeout(waitMs);
    const ends = AbortSignal.any([signal, limit]);
    let onAbort: (() => void) | undefined;
    try {
      const answer = await new Promise<{ readonly result?: unknown; readonly error?: unknown }>((resolve, reject) => {
        onAbort = () =>
          reject(limit.aborted ? new TimeoutError('The client did not answer') : new CancelledError('Cancelled'));
        if (ends.aborted) return onAbort();
        ends.addEventListener('abort', onAbort, { once: true });
        this.#pending.set(id, { identity, settle: resolve });
        send({ jsonrpc: '2.0', id, ...question }).catch(reject);
      });
      if (answer.error === undefined) return answer.result ?? {};
      const { code, message } = answer.error as { readonly code?: unknown; readonly message?: unknown };
      if (code === methodNotFound) throw cannotAsk(question);
      throw new PreconditionError(`The client refused ${question.method}: ${String(message).slice(0, 200)}`);
    } finally {
      this.#pending.delete(id);
      if (onAbort !== undefined) ends.removeEventListener('abort', onAbort);
    }
  }

  /** Takes an answer. @returns whether it was one to a question to this very user and sign-in */
  answer(identity: Identity, message: unknown): boolean {
    if (typeof message !== 'object' || message === null || 'method' in message) return false;
    const { id, result, error } = message as Record<string, unknown>;
    const pending = typeof id === 'string' ? this.#pending.get(id) : undefined;
    if (pending === undefined || pending.identity.sub !== identity.sub || pending.identity.sid !== identity.sid)
      return false;
    pending.settle({ result, error });
    return true;
  }
}

/** Of a client without the capability. */
export function cannotAsk({ method, params }: Asked): PreconditionError {
  const asks =
    params['mode'] === 'url' ? 'have its user open a page (elicitation by URL)' : 'ask its user (elicitation)';
  const what = method === 'elicitation/create' ? asks : 'lend its model (sampling)';
  return new PreconditionError(`This tool needs a client that can ${what}`, {
    hint: 'Use a client that can, or give the tool what it would ask for, if it takes that',
    data: { method },
  });
}
