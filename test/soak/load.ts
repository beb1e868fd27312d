import { Agent, request } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { type ServerName, type SoakSystem, servers } from './system.ts';

/** A call that was answered with its result. */
export interface Acknowledged {
  readonly server: ServerName;
  readonly tool: string;
  /** As the answer's header said; clients of the SDK don't see it. */
  readonly executionId?: string;
}

export interface Told {
  sent: number;
  /** By the number that the call carried. */
  readonly acknowledged: Map<string, Acknowledged>;
  /** Answers that were none, by what they were. */
  readonly failures: Map<string, number>;
  /** When calls failed, on the monotonic clock. */
  readonly failedAt: number[];
}

interface Call {
  readonly id: string;
  readonly server: ServerName;
  readonly tool: 'echo' | 'slow';
  readonly args: Readonly<Record<string, unknown>>;
}

const answerLimitMs = 20_000;
const agePauseMs = 45 * 60_000;

/**
 * Clients that call one after another, whatever happens: most of them speak bare JSON-RPC over kept connections, so that
 * each answer's execution id is known, some are the official client with a session.
 */
export class Load {
  readonly told: Told = { sent: 0, acknowledged: new Map(), failures: new Map(), failedAt: [] };
  readonly #system: SoakSystem;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 64 });
  /** A connection for each call: only these show whether a process that has just begun to listen can make calls. */
  readonly #anew = new Agent({ keepAlive: false });
  readonly #tokens = new Map<ServerName, { readonly value: Promise<string>; readonly at: number }>();
  readonly #clients: Promise<void>[];
  readonly #thinkMs: number;
  #count = 0;
  #stopped = false;

  /** @param thinkMs how long a client pauses after each answer */
  constructor(system: SoakSystem, clients: number, thinkMs: number) {
    this.#system = system;
    this.#thinkMs = thinkMs;
    this.#clients = Array.from({ length: clients }, (_, index) =>
      index % 4 === 3 ? this.#official(index) : this.#bare(index),
    );
  }

  async stop(): Promise<Told> {
    this.#stopped = true;
    await Promise.all(this.#clients);
    this.#agent.destroy();
    return this.told;
  }

  /** Whether a call to that server comes back with its result. */
  async serves(server: ServerName): Promise<boolean> {
    const call = this.#next(server, 'echo');
    return this.#counted(call, () => this.#send(call));
  }

  #next(server: ServerName, tool: Call['tool']): Call {
    this.#count += 1;
    const id = `c${this.#count}`;
    return { id, server, tool, args: tool === 'echo' ? { call: id } : { call: id, ms: 20 + (this.#count % 10) * 30 } };
  }

  #draw(index: number): Call {
    const turn = this.#count + index;
    return this.#next(servers[turn % servers.length] ?? 'alpha', turn % 4 === 0 ? 'slow' : 'echo');
  }

  async #counted(call: Call, send: () => Promise<string | undefined>): Promise<boolean> {
    this.told.sent += 1;
    try {
      const executionId = await send();
      this.told.acknowledged.set(call.id, {
        server: call.server,
        tool: call.tool,
        ...(executionId === undefined ? {} : { executionId }),
      });
      return true;
    } catch (error) {
      const kind = kindOf(error);
      this.told.failures.set(kind, (this.told.failures.get(kind) ?? 0) + 1);
      this.told.failedAt.push(performance.now());
      return false;
    }
  }

  async #bare(index: number): Promise<void> {
    while (!this.#stopped) {
      const call = this.#draw(index);
      const good = await this.#counted(call, () => this.#send(call, index % 2 === 0 ? this.#anew : this.#agent));
      await delay(good ? this.#thinkMs : this.#thinkMs + 50);
    }
  }

  async #official(index: number): Promise<void> {
    const server = servers[index % servers.length] ?? 'alpha';
    while (!this.#stopped) {
      const client = new Client({ name: 'soak', version: '1' }, { versionNegotiation: { mode: 'auto' } });
      try {
        const headers = { authorization: `Bearer ${await this.#token(server)}` };
        const transport = new StreamableHTTPClientTransport(new URL(this.#system.endpoint(server)), {
          requestInit: { headers },
        });
        await client.connect(transport, { timeout: answerLimitMs });
        let good = true;
        // Like a real client: one whose call fails begins anew.
        while (good && !this.#stopped) {
          const call = this.#next(server, index % 8 === 3 ? 'echo' : 'slow');
          good = await this.#counted(call, async () => {
            const options = { timeout: answerLimitMs };
            const answer = await client.callTool({ name: call.tool, arguments: { ...call.args } }, options);
            return judge(answer as Result, call);
          });
          await delay(this.#thinkMs);
        }
      } catch {
        await delay(100); // it could not connect: no call was made
      } finally {
        await client.close().catch(() => {});
      }
    }
  }

  /** One token a server, asked for again when it grows old or was refused; asked for by all, signed in once. */
  #token(server: ServerName): Promise<string> {
    const known = this.#tokens.get(server);
    if (known !== undefined && performance.now() - known.at < agePauseMs) return known.value;
    const value = this.#system.token(server);
    this.#tokens.set(server, { value, at: performance.now() });
    value.catch(() => this.#tokens.delete(server));
    return value;
  }

  async #send(call: Call, agent = this.#agent): Promise<string | undefined> {
    const token = await this.#token(call.server).catch(() => {
      throw new Refused('no token to be had');
    });
    const body = JSON.stringify({
      jsonrpc: '2.0',
      id: call.id,
      method: 'tools/call',
      params: { name: call.tool, arguments: call.args },
    });
    const { status, text, id } = await this.#post(agent, this.#system.endpoint(call.server), token, body);
    if (status === 401) this.#tokens.delete(call.server);
    const message = parse(text);
    if (status !== 200 || message === undefined) throw new Refused(`HTTP ${status}${codeIn(message)}`);
    if (message['error'] !== undefined) throw new Refused(`JSON-RPC error${codeIn(message)}`);
    judge(message['result'] as Result, call);
    return id;
  }

  #post(
    agent: Agent,
    url: string,
    token: string,
    body: string,
  ): Promise<{ status: number; text: string; id: string | undefined }> {
    return new Promise((resolve, reject) => {
      const headers = {
        authorization: `Bearer ${token}`,
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
      };
      const sent = request(url, { method: 'POST', agent, headers });
      const late = setTimeout(() => sent.destroy(new Refused(`no answer in ${answerLimitMs / 1000} s`)), answerLimitMs);
      const fail = (error: Error): void => {
        clearTimeout(late);
        reject(error);
      };
      sent.on('error', fail).on('response', (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (chunk: string) => {
          text += chunk;
        });
        response.on('error', fail).on('end', () => {
          clearTimeout(late);
          const id = response.headers['x-systemprompt-execution-id'];
          resolve({ status: response.statusCode ?? 0, text, id: typeof id === 'string' ? id : undefined });
        });
      });
      sent.end(body);
    });
  }
}

/** An answer that is no result, in few words that many share. */
class Refused extends Error {}

interface Result {
  readonly isError?: boolean;
  readonly structuredContent?: unknown;
  readonly content?: readonly { readonly text?: string }[];
}

/** @throws when the result is an error, or another call's */
function judge(result: Result, call: Call): undefined {
  const text = JSON.stringify(result.content ?? '');
  if (result.isError === true) throw new Refused(`tool error: ${text.slice(0, 80)}`);
  if ((result.structuredContent as { content?: unknown } | undefined)?.content !== call.id)
    throw new Refused(`ANOTHER CALL'S ANSWER`);
}

/** The message of a JSON answer, or the last one of an event stream. */
function parse(text: string): Record<string, unknown> | undefined {
  const data = text.startsWith('{')
    ? text
    : text
        .match(/^data: (\{.*)$/gm)
        ?.at(-1)
        ?.slice('data: '.length);
  try {
    return data === undefined ? undefined : (JSON.parse(data) as Record<string, unknown>);
  } catch {
    return undefined; // cut off
  }
}

function codeIn(message: Record<string, unknown> | undefined): string {
  const error = (message?.['error'] ?? message) as { code?: unknown; data?: { code?: unknown } } | undefined;
  const code = error?.data?.code ?? error?.code;
  return code === undefined ? '' : ` ${String(code)}`;
}

function kindOf(error: unknown): string {
  if (error instanceof Refused) return error.message;
  const { code, cause, message, status } = error as Partial<Record<'code' | 'cause' | 'message' | 'status', unknown>>;
  if (status !== undefined) return `HTTP ${String(status)}, told to the official client`;
  if (cause !== undefined && (cause as { code?: unknown }).code !== undefined) return kindOf(cause);
  return code === undefined ? `client: ${String(message).slice(0, 80)}` : String(code);
}
