import type { IncomingMessage, ServerResponse } from 'node:http';
import type Provider from 'oidc-provider';
import { errors, type InteractionResults } from 'oidc-provider';
import { recordIdentityEvent } from '../../domain/auth/index.ts';
import type { Database } from '../../infra/database/connection.ts';
import { ForbiddenError, NotFoundError, UsageError } from '../../shared/errors.ts';
import type { UserId } from '../../shared/ids.ts';
import type { Entitlements } from '../access/entitlements.ts';
import type { ResourceScope, ResourceServer, ResourceServers } from '../resources.ts';
import { type ClientCard, cardOf } from './card.ts';
import type { WhoIsThere } from './consent.ts';
import type { OAuthStore } from './store.ts';

/** What a request for authorization waits for, at one browser. */
export interface Interaction {
  readonly uid: string;
  readonly prompt: 'login' | 'consent';
  readonly client: ClientCard;
  readonly params: {
    readonly redirectUri: string | undefined;
    readonly loginHint?: string | undefined;
    /** In seconds. */
    readonly maxAge?: number | undefined;
  };
  /** The user must have proved to be there at or after this; absent: any sign-in will do. */
  readonly freshSince: Date | undefined;
  /** What is asked for at each resource; `refused`: the user may not have it, so that it is not to be given. */
  readonly resources: readonly {
    readonly resource: ResourceServer;
    /** As the client named it: its own address, or that of its SSE. */
    readonly at: string;
    readonly asked: readonly ResourceScope[];
    readonly refused: readonly string[];
  }[];
  /** `openid`, `profile`, `email`, `offline_access`. */
  readonly oidcScopes: readonly string[];
  /** Whether the answer goes to a device that shows a code. */
  readonly device: boolean;
}

/** The way between a request for authorization and the pages that ask a person. */
export interface Interactions {
  /** @throws NotFoundError when none goes on at this browser */
  find(request: IncomingMessage, response: ServerResponse): Promise<Interaction>;
  /** Says who it is. @returns where to send the browser, by 303. @throws UsageError when they must prove it anew */
  login(
    request: IncomingMessage,
    response: ServerResponse,
    who: { readonly userId: UserId; readonly authTime: Date; readonly methods: readonly string[] },
  ): Promise<string>;
  /** Says what the user agrees to, of what was asked; none of it is a refusal. @returns where to send the browser */
  consent(
    request: IncomingMessage,
    response: ServerResponse,
    scopes: ReadonlyMap<string, readonly string[]>,
  ): Promise<string>;
  deny(request: IncomingMessage, response: ServerResponse): Promise<string>;
}

export interface InteractionDependencies {
  readonly provider: () => Promise<Provider>;
  readonly resources: ResourceServers;
  readonly entitlements: Entitlements;
  readonly browser: WhoIsThere;
  readonly store: OAuthStore;
  readonly database: Database;
}

type Details = Awaited<ReturnType<Provider['interactionDetails']>>;

export class OAuthInteractions implements Interactions {
  readonly #deps: InteractionDependencies;

  constructor(deps: InteractionDependencies) {
    this.#deps = deps;
  }

  async find(request: IncomingMessage, response: ServerResponse): Promise<Interaction> {
    return this.#describe(await this.#details(request, response));
  }

  async login(
    request: IncomingMessage,
    response: ServerResponse,
    who: { readonly userId: UserId; readonly authTime: Date; readonly methods: readonly string[] },
  ): Promise<string> {
    const details = await this.#details(request, response);
    const { provider } = details;
    const since = freshSince(details);
    if (since !== undefined && who.authTime.getTime() < since.getTime()) {
      throw new UsageError('The app asks for a fresh sign-in', { data: { reason: 'recent_authentication' } });
    }
    // Whoever sat here before has no part in it: the library would ask them to sign out, by a page of its own.
    const { interaction } = details;
    const before = interaction.session?.uid;
    if (before !== undefined && interaction.session?.accountId !== who.userId) {
      await (await provider.Session.findByUid(before))?.destroy();
      delete interaction.session;
      await interaction.persist();
    }
    const ts = Math.floor(who.authTime.getTime() / 1000);
    const login = { accountId: who.userId, ts, amr: [...who.methods], remember: false };
    return this.#finish(provider, request, response, { login });
  }

  async consent(
    request: IncomingMessage,
    response: ServerResponse,
    scopes: ReadonlyMap<string, readonly string[]>,
  ): Promise<string> {
    const details = await this.#details(request, response);
    const { provider, interaction } = details;
    if (interaction.prompt.name !== 'consent') throw new UsageError('Nothing waits for a consent');
    const userId = interaction.session?.accountId;
    const there = await this.#deps.browser.current(request);
    if (userId === undefined || there?.userId !== userId) throw otherUser();
    const asked = await this.#describe(details);
    const given = asked.resources.map(({ resource, at, asked: names, refused }) => {
      const wanted = new Set(scopes.get(resource.audience) ?? []);
      const [yes, no] = [names.filter(({ name }) => wanted.has(name)), names.filter(({ name }) => !wanted.has(name))];
      return { resource, at, yes: yes.map(({ name }) => name), no: [...no.map(({ name }) => name), ...refused] };
    });
    const some = given.some(({ yes }) => yes.length > 0) || (given.length === 0 && asked.oidcScopes.length > 0);
    if (!some) return this.deny(request, response);
    const clientId = asked.client.id;
    const grant = new provider.Grant({ accountId: userId, clientId });
    if (asked.oidcScopes.length > 0) grant.addOIDCScope([...asked.oidcScopes]);
    for (const { at, yes, no } of given) {
      if (yes.length > 0) grant.addResourceScope(at, yes);
      if (no.length > 0) grant.rejectResourceScope(at, no);
    }
    const { store, database } = this.#deps;
    const grantId = await database.transaction(async (tx) => {
      const id = await store.within(tx, () => grant.save());
      const data = { resources: given.map(({ resource }) => resource.name), scopes: given.flatMap(({ yes }) => yes) };
      await recordIdentityEvent(tx, { type: 'consent_given', userId: userId as UserId, clientId, data });
      return id;
    });
    return this.#finish(provider, request, response, { consent: { grantId } });
  }

  async deny(request: IncomingMessage, response: ServerResponse): Promise<string> {
    const { provider, interaction } = await this.#details(request, response);
    const userId = (await this.#deps.browser.current(request))?.userId;
    const clientId = String(interaction.params['client_id']);
    await recordIdentityEvent(this.#deps.database, { type: 'consent_refused', userId, clientId });
    const refusal = { error: 'access_denied', error_description: 'the user said no' };
    return this.#finish(provider, request, response, refusal);
  }

  async #details(
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<{ readonly provider: Provider; readonly interaction: Details }> {
    const provider = await this.#deps.provider();
    try {
      return { provider, interaction: await provider.interactionDetails(request, response) };
    } catch (error) {
      throw ofLibrary(error);
    }
  }

  async #finish(
    provider: Provider,
    request: IncomingMessage,
    response: ServerResponse,
    result: InteractionResults,
  ): Promise<string> {
    try {
      return await provider.interactionResult(request, response, result);
    } catch (error) {
      throw ofLibrary(error);
    }
  }

  async #describe(details: { readonly provider: Provider; readonly interaction: Details }): Promise<Interaction> {
    const { provider, interaction } = details;
    const { params, session, prompt } = interaction;
    const clientId = String(params['client_id']);
    const client = await provider.Client.find(clientId);
    if (client === undefined) throw new NotFoundError('The app that asked is not known here any more');
    const scopes = String(params['scope'] ?? '').split(' ');
    const userId = session?.accountId;
    const audiences = [params['resource'] ?? []].flat().map(String);
    const resources = await Promise.all(
      audiences.map(async (audience) => {
        const resource = this.#deps.resources.byAudience(audience);
        if (resource === undefined) throw new NotFoundError('What the app asks for is not there any more');
        const names = resource.scopes.filter(({ name }) => scopes.includes(name));
        const permitted =
          userId === undefined
            ? undefined
            : await this.#deps.entitlements.permittedScopes({ userId: userId as UserId, clientId }, resource);
        const may = ({ name }: ResourceScope): boolean => permitted?.scopes.has(name) ?? true;
        const refused = names.filter((scope) => !may(scope)).map(({ name }) => name);
        return { resource, at: audience, asked: names.filter(may), refused };
      }),
    );
    const redirectUri = textOf(params['redirect_uri']);
    const maxAge = textOf(params['max_age']);
    return {
      uid: interaction.uid,
      prompt: prompt.name === 'consent' ? 'consent' : 'login',
      client: cardOf(client, redirectUri),
      params: {
        redirectUri,
        loginHint: textOf(params['login_hint']),
        maxAge: maxAge === undefined ? undefined : Number(maxAge),
      },
      freshSince: freshSince(details),
      resources,
      oidcScopes: scopes.filter((scope) => ['openid', 'profile', 'email', 'offline_access'].includes(scope)),
      device: interaction.deviceCode !== undefined,
    };
  }
}

/** A browser's sign-in may be hours old; `prompt=login` and `max_age` ask for a newer one (OpenID Connect Core 3.1.2.1). */
function freshSince({ interaction }: { readonly interaction: Details }): Date | undefined {
  const { params, iat } = interaction;
  if (
    String(params['prompt'] ?? '')
      .split(' ')
      .includes('login')
  )
    return new Date(iat * 1000);
  const maxAge = textOf(params['max_age']);
  return maxAge === undefined ? undefined : new Date((iat - Number(maxAge)) * 1000);
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

function otherUser(): ForbiddenError {
  return new ForbiddenError('Somebody else is signed in at this browser now', {
    hint: 'Go back to the app and begin again.',
    data: { reason: 'user' },
  });
}

function ofLibrary(error: unknown): unknown {
  if (!(error instanceof errors.SessionNotFound)) return error;
  return new NotFoundError('This sign-in was not begun in this browser, or it took too long', {
    hint: 'Go back to the app and begin again.',
    cause: error,
  });
}
