import { createHmac, createSecretKey, hkdfSync, type KeyObject, randomUUID, timingSafeEqual } from 'node:crypto';
import type { Claims } from '../../domain/auth/index.ts';
import { isBridged, type McpServerConfig } from '../../domain/mcp/index.ts';
import { UpstreamFailedError } from '../../shared/errors.ts';
import type { ServiceInstanceId } from '../../shared/ids.ts';
import { negotiate } from '../bridge/eras/revisions.ts';
import type { LookOver } from '../executor/call.ts';
import { helloOf } from './client-hello.ts';
import type { Exchange } from './exchange.ts';
import { tellOver } from './farewell.ts';
import { type OnBehalf, sessionHeader, sessionOf, upstreamHeaders } from './headers.ts';
import { isRecord, type RequestId } from './jsonrpc.ts';
import { elicits } from './question.ts';
import type { Session, Sessions } from './sessions.ts';
import type { Upstream, Upstreams } from './upstreams.ts';

/** The run that all sessions with virtual servers belong to: they are the API's own, and what it has to know is in their ids. */
export const virtualInstance = '00000000-0000-8000-8000-000000000000' as ServiceInstanceId;

/** How long a target may take to begin a session, in ms. */
const beginMs = 30_000;
/** Sessions at targets that are remembered; one that is forgotten is begun anew, and ends by its target's clock. */
const mostTargets = 20_000;
const mostBytes = 1024 * 1024;
/** Begins the id of a target's question, so that its answer is known wherever it arrives. */
const questionPrefix = 'systemprompt-via:';

/** A question of a target to the client of a virtual server. */
export interface TargetQuestion {
  readonly target: string;
  /** The session at the target that it was asked in; empty for none. */
  readonly session: string;
  /** As the target calls it. */
  readonly id: RequestId;
}

interface Begun {
  readonly instanceId: ServiceInstanceId;
  readonly session: Promise<Session | undefined>;
}

/**
 * The sessions that legacy clients have with virtual servers. Their ids say what the client can do, so every API process can
 * introduce it to a target that asks its clients something: there it has a session of its own, begun with its first call.
 */
export class VirtualSessions {
  readonly #key: KeyObject;
  readonly #sessions: Sessions;
  readonly #upstreams: Upstreams;
  readonly #begun = new Map<string, Begun>();

  /** @param root the instance's identity root, 32 bytes */
  constructor(root: Uint8Array, sessions: Sessions, upstreams: Upstreams) {
    this.#key = createSecretKey(new Uint8Array(hkdfSync('sha256', root, new Uint8Array(0), 'mcp-virtual', 32)));
    this.#sessions = sessions;
    this.#upstreams = upstreams;
  }

  /** Begins one. @param body the `initialize` */
  begin({ route, claims, transport }: Exchange, body: Buffer): Session {
    const message = JSON.parse(body.toString('utf8')) as { readonly params?: unknown };
    const params = isRecord(message.params) ? message.params : {};
    const id = `${randomUUID()}_${negotiate(params['protocolVersion'])}_${lettersOf(params['capabilities'])}`;
    return this.#sessions.begin(ownerOf(route.config.name, claims), id, claims, helloOf(body), transport);
  }

  /** The session that a request shows; nothing when it is not this user's, or over. */
  find({ req, route, claims }: Exchange): Session | undefined | Promise<Session | undefined> {
    const version = req.headers['mcp-protocol-version'];
    const revision = typeof version === 'string' ? version.slice(0, 40) : undefined;
    return this.#sessions.find(ownerOf(route.config.name, claims), sessionOf(req) ?? '', claims, revision);
  }

  /** Ends one, and what it has begun at targets. */
  end(session: Session, { claims }: Exchange): void {
    this.#sessions.over(session, 'closed');
    for (const [key, { session: beginning }] of this.#begun) {
      if (!key.startsWith(`${session.id} `)) continue;
      this.#begun.delete(key);
      void beginning.then(
        (begun) => {
          if (begun === undefined || !this.#sessions.over(begun, 'closed')) return;
          tellOver(this.#upstreams, { ...begun, userName: claims.name });
        },
        () => undefined, // it never began
      );
    }
  }

  /**
   * The session that a client has at a target: only where that is asked for and can be of use.
   * @throws UpstreamFailedError when the target does not begin one
   */
  async at(exchange: Exchange, upstream: Upstream, on: OnBehalf): Promise<Session | undefined> {
    const { virtualSession: virtual, route, claims } = exchange;
    if (virtual === undefined || !isBridged(route.config) || abilitiesOf(virtual).letters === '') return undefined;
    const key = `${virtual.id} ${route.config.name}`;
    const known = this.#begun.get(key);
    if (known?.instanceId === upstream.instanceId) {
      const session = await known.session;
      if (session === undefined) return undefined;
      const { server, instanceId, userId } = session;
      const found = await this.#sessions.find({ server, instanceId, userId }, session.bound, claims);
      if (found !== undefined) return found;
    }
    const begun = { instanceId: upstream.instanceId, session: this.#beginAt(exchange, virtual, upstream, on) };
    this.#begun.set(key, begun);
    const [oldest] = this.#begun.size > mostTargets ? this.#begun.keys() : [];
    if (oldest !== undefined) this.#begun.delete(oldest);
    try {
      return await begun.session;
    } catch (error) {
      if (this.#begun.get(key) === begun) this.#begun.delete(key);
      throw error;
    }
  }

  /** Gives the questions of a target ids by which their answers find back to it. */
  naming(virtual: Session, target: string, session: Session | undefined): LookOver {
    const seal = (id: RequestId) => this.#seal(virtual, { target, session: session?.upstreamId ?? '', id });
    return (text) => {
      if (!text.includes('"method"')) return text;
      const message = JSON.parse(text) as Readonly<Record<string, unknown>>;
      const { id, method, params } = message;
      if (method === 'notifications/cancelled' && isRecord(params) && isId(params['requestId'])) {
        return JSON.stringify({ ...message, params: { ...params, requestId: seal(params['requestId']) } });
      }
      return typeof method === 'string' && isId(id) ? JSON.stringify({ ...message, id: seal(id) }) : text;
    };
  }

  /** What a response answers in this session; nothing for what nobody asked here. */
  questionOf(virtual: Session, to: unknown): TargetQuestion | undefined {
    if (typeof to !== 'string' || !to.startsWith(questionPrefix)) return undefined;
    const dot = to.lastIndexOf('.');
    const payload = to.slice(questionPrefix.length, dot);
    const [want, have] = [Buffer.from(this.#mac(virtual, payload)), Buffer.from(to.slice(dot + 1))];
    if (want.length !== have.length || !timingSafeEqual(want, have)) return undefined;
    const [target, session, id] = JSON.parse(Buffer.from(payload, 'base64url').toString('utf8')) as string[];
    return { target, session, id } as TargetQuestion;
  }

  async #beginAt(
    { req, route, claims, transport }: Exchange,
    virtual: Session,
    upstream: Upstream,
    on: OnBehalf,
  ): Promise<Session | undefined> {
    const { version, letters } = abilitiesOf(virtual);
    const { clientName: name = 'client', clientVersion = '0' } = virtual;
    const params = {
      protocolVersion: version,
      capabilities: capabilitiesOf(letters),
      clientInfo: { name, version: clientVersion },
    };
    const post = async (message: object, session?: Session) => {
      const { statusCode, headers, body } = await upstream.pool.request({
        path: '/mcp',
        method: 'POST',
        headers: upstreamHeaders(req, upstream, { ...on, session }),
        body: JSON.stringify({ jsonrpc: '2.0', ...message }),
        signal: AbortSignal.timeout(beginMs),
      });
      await body.dump({ limit: mostBytes });
      return { statusCode, headers };
    };
    const { statusCode, headers } = await post({ id: 0, method: 'initialize', params }).catch((cause: unknown) => {
      throw new UpstreamFailedError(`The server ${route.config.name} did not begin a session.`, { cause });
    });
    if (statusCode !== 200) {
      const message = `The server ${route.config.name} did not begin a session (${statusCode}).`;
      throw new UpstreamFailedError(message, { data: { status: statusCode } });
    }
    const id = headers[sessionHeader];
    // One that keeps none asks its clients nothing, or on the stream of the call.
    if (typeof id !== 'string') return undefined;
    const owner = { server: route.config.name, instanceId: upstream.instanceId, userId: claims.sub };
    const hello = { protocolVersion: version, clientName: virtual.clientName, clientVersion: virtual.clientVersion };
    const session = this.#sessions.begin(owner, id, claims, hello, transport);
    await post({ method: 'notifications/initialized' }, session).catch(() => undefined); // the call itself will tell
    return session;
  }

  #seal(virtual: Session, { target, session, id }: TargetQuestion): string {
    const payload = Buffer.from(JSON.stringify([target, session, id])).toString('base64url');
    return `${questionPrefix}${payload}.${this.#mac(virtual, payload)}`;
  }

  #mac({ bound }: Session, payload: string): string {
    return createHmac('sha256', this.#key)
      .update(JSON.stringify([bound, payload]))
      .digest('base64url');
  }
}

function ownerOf(server: McpServerConfig['name'], { sub }: Pick<Claims, 'sub'>) {
  return { server, instanceId: virtualInstance, userId: sub };
}

/** What a client can do, a letter each: forms, pages, its model, that with tools, its roots. */
function lettersOf(capabilities: unknown): string {
  if (!isRecord(capabilities)) return '';
  const { elicitation, sampling, roots } = capabilities;
  return [
    elicits(capabilities) ? 'f' : '',
    isRecord(elicitation) && elicitation['url'] !== undefined ? 'u' : '',
    isRecord(sampling) ? 's' : '',
    isRecord(sampling) && sampling['tools'] !== undefined ? 't' : '',
    isRecord(roots) ? 'r' : '',
  ].join('');
}

function capabilitiesOf(letters: string): Record<string, unknown> {
  const has = (letter: string) => letters.includes(letter);
  const elicitation = has('u') ? { ...(has('f') ? { form: {} } : {}), url: {} } : {};
  return {
    ...(has('f') || has('u') ? { elicitation } : {}),
    ...(has('s') ? { sampling: has('t') ? { tools: {} } : {} } : {}),
    ...(has('r') ? { roots: {} } : {}),
  };
}

function abilitiesOf({ upstreamId }: Session): { readonly version: string; readonly letters: string } {
  const [, version = '', letters = ''] = upstreamId.split('_');
  return { version, letters };
}

function isId(value: unknown): value is RequestId {
  return typeof value === 'string' || typeof value === 'number';
}
