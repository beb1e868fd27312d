import type { ClientStore } from '../../../domain/auth/index.ts';
import type { User } from '../../../domain/users/index.ts';
import type { SessionId, UserId } from '../../../shared/ids.ts';
import type { Entitlements } from '../../access/entitlements.ts';
import type { ResourceServer } from '../../resources.ts';

/** How long an answer is relied on that no announcement has withdrawn, in ms. */
const knownMs = 5000;
const entries = 1000;

/** What a service account may do at one resource, and in whose name its tokens are. */
export interface Standing {
  readonly userId: UserId;
  readonly userName: string;
  readonly sessionId: SessionId;
  readonly scopes: ReadonlySet<string>;
  readonly accessVersion: number;
}

/**
 * The standings of service accounts, remembered for a moment: a program asks for tokens at a rate at which the database
 * would be asked the same all the time. Whatever is taken away is announced, and everything remembered is dropped.
 */
export class Standings {
  readonly #clients: Pick<ClientStore, 'client' | 'session'>;
  readonly #users: { get(id: UserId): Promise<User> };
  readonly #entitlements: Entitlements;
  readonly #known = new Map<string, { readonly standing: Promise<Standing | undefined>; readonly until: number }>();

  constructor(deps: {
    readonly clients: Pick<ClientStore, 'client' | 'session'>;
    readonly users: { get(id: UserId): Promise<User> };
    readonly entitlements: Entitlements;
  }) {
    this.#clients = deps.clients;
    this.#users = deps.users;
    this.#entitlements = deps.entitlements;
  }

  /** Something about who may do what has changed. */
  forget(): void {
    this.#known.clear();
  }

  /** Somebody was refused for it: what is given to them counts at the next try, since only what is taken away is announced. */
  forgetOne(clientId: string, resource: ResourceServer): void {
    this.#known.delete(keyOf(clientId, resource));
  }

  /** @returns undefined when the client is no service account, or one that may not act */
  of(clientId: string, resource: ResourceServer): Promise<Standing | undefined> {
    const key = keyOf(clientId, resource);
    const now = performance.now();
    const known = this.#known.get(key);
    if (known !== undefined && known.until > now) return known.standing;
    if (this.#known.size >= entries) this.#known.clear();
    const standing = this.#load(clientId, resource);
    this.#known.set(key, { standing, until: now + knownMs });
    standing.catch(() => this.#known.delete(key));
    return standing;
  }

  async #load(clientId: string, resource: ResourceServer): Promise<Standing | undefined> {
    const client = await this.#clients.client(clientId);
    if (client?.userId === undefined) return undefined;
    const { userId } = client;
    const permitted = await this.#entitlements.permittedScopes({ userId, clientId }, resource);
    if (!permitted.active) return undefined;
    const [user, sessionId] = await Promise.all([this.#users.get(userId), this.#clients.session(clientId)]);
    if (sessionId === undefined) return undefined;
    const { scopes, accessVersion } = permitted;
    return { userId, userName: user.name, sessionId, scopes, accessVersion };
  }
}

function keyOf(clientId: string, { audience }: ResourceServer): string {
  return `${clientId} ${audience}`;
}
