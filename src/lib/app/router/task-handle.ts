import { createHmac, createSecretKey, hkdfSync, type KeyObject, timingSafeEqual } from 'node:crypto';
import type { Claims } from '../../domain/auth/index.ts';
import type { ExecutionId } from '../../shared/ids.ts';
import { isRecord } from './jsonrpc.ts';

/** What a client's id of a task stands for. */
export interface TaskPlace {
  /** As its server calls it. */
  readonly id: string;
  /** The call that began it. */
  readonly of: ExecutionId;
  readonly server: string;
  readonly tool: string;
  /** The virtual server that the caller spoke to. */
  readonly via?: string | undefined;
}

/** Longest handle that is looked at, in characters. */
const maxHandle = 8_000;
/** Where a message says which task it is about (MCP 2025-11-25, tasks). */
const relatedTask = 'io.modelcontextprotocol/related-task';

/**
 * The ids of tasks as clients have them: what a server calls its task, which call of which tool began it, and a signature
 * that binds it to the user and the client who called. Nothing is kept, so it holds for every API process and over restarts;
 * and no id that was not given out here reaches a server, whoever has learnt it.
 */
export class TaskHandles {
  readonly #key: KeyObject;

  /** @param root the instance's identity root, 32 bytes */
  constructor(root: Uint8Array) {
    this.#key = createSecretKey(new Uint8Array(hkdfSync('sha256', root, new Uint8Array(0), 'mcp-task', 32)));
  }

  seal({ id, of, server, tool, via }: TaskPlace, claims: Pick<Claims, 'sub' | 'client'>): string {
    const place = [id, of, server, tool, ...(via === undefined ? [] : [via])];
    const payload = Buffer.from(JSON.stringify(place)).toString('base64url');
    return `${payload}.${this.#mac(claims, payload)}`;
  }

  /** Nothing for what was never given to this user's client. */
  open(handle: unknown, claims: Pick<Claims, 'sub' | 'client'>): TaskPlace | undefined {
    if (typeof handle !== 'string' || handle.length > maxHandle) return undefined;
    const dot = handle.lastIndexOf('.');
    if (dot <= 0) return undefined;
    const payload = handle.slice(0, dot);
    const [want, have] = [Buffer.from(this.#mac(claims, payload)), Buffer.from(handle.slice(dot + 1))];
    if (want.length !== have.length || !timingSafeEqual(want, have)) return undefined;
    const [id, of, server, tool, via] = JSON.parse(Buffer.from(payload, 'base64url').toString('utf8')) as string[];
    return { id, of, server, tool, via } as TaskPlace;
  }

  #mac({ sub, client }: Pick<Claims, 'sub' | 'client'>, payload: string): string {
    return createHmac('sha256', this.#key)
      .update(JSON.stringify([sub, client, payload]))
      .digest('base64url');
  }
}

/** The answer with another id in each place where it names this task. */
export function withTaskId(payload: Buffer, id: string, handle: string): Buffer {
  const message = JSON.parse(payload.toString('utf8')) as { readonly result?: unknown };
  if (!isRecord(message.result)) return payload;
  return Buffer.from(JSON.stringify({ ...message, result: renamed(message.result, id, handle) }));
}

function renamed(value: Readonly<Record<string, unknown>>, id: string, handle: string): Record<string, unknown> {
  const { taskId, task, _meta: meta } = value;
  const related = isRecord(meta) ? meta[relatedTask] : undefined;
  return {
    ...value,
    ...(taskId === id ? { taskId: handle } : {}),
    ...(isRecord(task) ? { task: renamed(task, id, handle) } : {}),
    ...(isRecord(meta) && isRecord(related)
      ? { _meta: { ...meta, [relatedTask]: { ...related, taskId: handle } } }
      : {}),
  };
}
