import type { Identity } from '../../infra/security/identity-header.ts';
import { isRecord } from '../router/jsonrpc.ts';
import type { Asker, BackendEnded, Era } from './backend.ts';
import { startFailed } from './faults.ts';
import { JsonRpcMessage } from './message.ts';
import type { Multiplexer } from './multiplexer.ts';

export interface HandshakeOptions {
  /** The `params` of a client's `initialize`; without them the bridge introduces itself. */
  readonly initialize: Readonly<Record<string, unknown>> | undefined;
  readonly version: string;
  readonly timeoutMs: number;
  /** When the connection has ended. */
  readonly ended: Promise<BackendEnded>;
  readonly signal?: AbortSignal | undefined;
  /** What the server has written to its standard error so far. */
  readonly stderr?: () => string;
}

/** What keeps a program from its first answer without a word: most often that it is still being fetched. */
const slowStart =
  'A first start may have to download the program (npx, uvx, docker): give it longer by start_timeout_ms, or run its command ' +
  'by hand once. What it needs to reach the network beside proxies and authorities, name in env_vars.';

export interface Introduced {
  readonly era: Era;
  readonly initialized: Readonly<Record<string, unknown>>;
}

const newestLegacy = '2025-11-25';
const modern = '2026-07-28';
/** Codes with which servers of the modern era answer `initialize`: no such method, no such version (2026-07-28). */
const notHere: ReadonlySet<unknown> = new Set([-32601, -32602, -32022, -32004]);

/** Who asks when the bridge itself does. */
export const bridgeItself: Asker = {
  identity: { aud: '', sub: '', name: '', sid: '', scopes: [], iat: 0, exp: 0 } as unknown as Identity,
  session: undefined,
  era: 'legacy',
  credentials: undefined,
  headers: {},
};

/**
 * Introduces the bridge, or one client, to a server: `initialize`, and `server/discover` to one that knows no other.
 * What a client can do is said for it only when it alone is served. On a shared instance questions to the user can be
 * brought to whoever called; roots can't be those of all.
 * @throws UpstreamFailedError when the server ends, refuses both, or takes too long
 */
export async function handshake(
  connection: Pick<Multiplexer, 'request' | 'notify'>,
  options: HandshakeOptions,
): Promise<Introduced> {
  const clientInfo = { name: 'systemprompt', title: 'systemprompt', version: options.version };
  const params = options.initialize ?? {
    protocolVersion: newestLegacy,
    capabilities: { sampling: {}, elicitation: { form: {}, url: {} } },
    clientInfo,
  };
  const answer = await ask(connection, 'initialize', params, options);
  const { result, error } = answer.value;
  if (isRecord(result)) {
    // A client's own word that it is ready comes from itself.
    if (options.initialize === undefined) connection.notify(JsonRpcMessage.notification('notifications/initialized'));
    return { era: 'legacy', initialized: result };
  }
  if (isRecord(error) && notHere.has(error['code'])) {
    const meta = {
      'io.modelcontextprotocol/protocolVersion': modern,
      'io.modelcontextprotocol/clientInfo': clientInfo,
      'io.modelcontextprotocol/clientCapabilities': {},
    };
    const discovered = await ask(connection, 'server/discover', { _meta: meta }, options);
    const { result: discover } = discovered.value;
    if (isRecord(discover)) return { era: 'modern', initialized: discover };
  }
  const said = isRecord(error) && typeof error['message'] === 'string' ? error['message'].slice(0, 500) : 'no reason';
  throw startFailed({ message: `The server refused to be initialized: ${said}` });
}

async function ask(
  connection: Pick<Multiplexer, 'request'>,
  method: string,
  params: Readonly<Record<string, unknown>>,
  { timeoutMs, ended, signal, stderr }: HandshakeOptions,
): Promise<JsonRpcMessage> {
  return await new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      const message = `The server did not answer ${method} within ${timeoutMs} ms.`;
      reject(stderr === undefined ? startFailed({ message }) : startFailed({ message, stderr: stderr() }, slowStart));
    }, timeoutMs);
    const settle = (act: () => void): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
      act();
    };
    const onAbort = (): void => settle(() => reject(startFailed({ message: 'The start was broken off.' })));
    if (signal?.aborted === true) onAbort();
    signal?.addEventListener('abort', onAbort, { once: true });
    void ended.then((reason) => settle(() => reject(startFailed(reason))));
    const hearer = {
      onMessage: () => undefined,
      onAnswer: (answer: JsonRpcMessage) => {
        // An end of the connection comes as an error to all who wait; why it ended says more.
        if (answer.value['error'] === undefined) settle(() => resolve(answer));
        else setImmediate(() => settle(() => resolve(answer)));
      },
    };
    connection.request(JsonRpcMessage.request(0, method, params), bridgeItself, hearer);
  });
}
