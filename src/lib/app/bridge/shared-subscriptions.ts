import type { Hearer } from './backend.ts';
import type { Instance } from './instance.ts';
import { JsonRpcMessage } from './message.ts';
import type { ClientSession } from './session.ts';
import type { ClientSessions } from './sessions.ts';

/** What is kept for as long as a session lasts is bounded: what it subscribes to, and the addresses of that. */
const longestUri = 8 * 1024;
const mostSubscriptions = 1_000;

const deaf: Hearer = { onMessage: () => undefined, onAnswer: () => undefined };

/** What the sessions on one instance subscribe to: the server knows one subscriber of a resource, however many there are here. */
export class SharedSubscriptions {
  readonly #sessions: Pick<ClientSessions, 'on'>;

  constructor(sessions: Pick<ClientSessions, 'on'>) {
    this.#sessions = sessions;
  }

  /** The refusal of a subscription that is one too many, or nothing. */
  refusalOf({ subscriptions }: ClientSession, { method, params: { uri } }: JsonRpcMessage): string | undefined {
    if (method !== 'resources/subscribe' || typeof uri !== 'string' || subscriptions.has(uri)) return undefined;
    if (uri.length <= longestUri && subscriptions.size < mostSubscriptions) return undefined;
    return `A session subscribes to ${mostSubscriptions} resources at most, of ${longestUri} characters each.`;
  }

  /** @returns whether the server need not hear of it: another client still wants to know of the same resource */
  takes(session: ClientSession, { method, params: { uri } }: JsonRpcMessage): boolean {
    if (typeof uri !== 'string') return false;
    if (method === 'resources/subscribe') session.subscriptions.add(uri);
    if (method !== 'resources/unsubscribe') return false;
    session.subscriptions.delete(uri);
    return this.#isWantedByOthers(session, uri);
  }

  /** A session is over: the server hears of what nobody wants any more. */
  end(session: ClientSession, instance: Instance): void {
    for (const uri of session.subscriptions) {
      if (this.#isWantedByOthers(session, uri)) continue;
      const request = JsonRpcMessage.request(0, 'resources/unsubscribe', { uri });
      instance.for('legacy').request(request, session.asker, deaf);
    }
  }

  #isWantedByOthers(session: ClientSession, uri: string): boolean {
    return [...this.#sessions.on(session.instance)].some((other) => other !== session && other.subscriptions.has(uri));
  }
}
