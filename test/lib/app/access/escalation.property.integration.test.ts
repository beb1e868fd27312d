import { hash } from 'node:crypto';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { AccessGrants } from '../../../../src/lib/app/access/grants.ts';
import { PersonalTokenLookup } from '../../../../src/lib/app/access/token-lookup.ts';
import { PersonalTokens } from '../../../../src/lib/app/access/tokens.ts';
import { UserAdministration } from '../../../../src/lib/app/access/users.ts';
import { mcpAudience } from '../../../../src/lib/app/identity.ts';
import { resourceServers } from '../../../../src/lib/app/resources.ts';
import { mcpServerConfigSchema } from '../../../../src/lib/domain/mcp/config.ts';
import { toServerConfig } from '../../../../src/lib/domain/mcp/server-config.ts';
import type { Actor } from '../../../../src/lib/shared/actor.ts';
import { AppError } from '../../../../src/lib/shared/errors.ts';
import type { SessionId, UserId } from '../../../../src/lib/shared/ids.ts';
import { type Permission, permissionLevels, permissions } from '../../../../src/lib/shared/permission.ts';
import { externalUrl, openTestIdentity, type TestIdentity } from '../../../helpers/identity.ts';

/*
 * Whatever is granted, taken, issued, exchanged, stepped up and turned into lasting tokens, in whatever order: no
 * credential that is still good holds more than its user may have at that moment. What a user may have is told here by a
 * model of a few lines that shares no code with the product.
 */

const named = ['notes:read', 'notes:write', 'notes:delete'] as const;
const servers = ['notes', 'other'].map((name) =>
  toServerConfig(
    name,
    mcpServerConfigSchema.parse({
      module: 'x',
      port: 5000,
      description: 'x',
      oauth: { scopes: ['mcp', { name: 'notes:read', open: true }] },
      tools: { write: { scopes: ['notes:write'] }, delete: { scopes: ['notes:delete'] } },
    }),
    { file: 'x', line: 1, column: 1 },
    () => ({ file: 'x', line: 1, column: 1 }),
  ),
);
const resources = resourceServers(servers, { externalUrl, maxTtlSeconds: 3600 });

let test: TestIdentity;
let admin: Actor;
beforeAll(async () => {
  test = await openTestIdentity();
  const owner = await test.identity.users.ensureOwner();
  admin = { userId: owner.id, userName: owner.name, scopes: ['admin'], permission: 'admin' };
});
afterAll(() => test?.close());

const who = fc.constantFrom(0, 1);
const at = fc.constantFrom('notes', 'other');
const clients = fc.constantFrom('app', 'cli');
const role = fc.constantFrom<Permission>('admin', 'user', 'service', 'mcp');
const asked = fc.uniqueArray(fc.constantFrom(...permissions, ...named), { minLength: 1, maxLength: 4 });
const subject = fc.oneof(
  fc.record({ type: fc.constant('user' as const), id: who }),
  fc.record({ type: fc.constant('role' as const), id: role }),
  fc.record({ type: fc.constant('client' as const), id: clients }),
);
const step = fc.oneof(
  fc.record({ do: fc.constant('grant' as const), subject, at, scope: fc.constantFrom(...named) }),
  fc.record({ do: fc.constant('revoke' as const), subject, at, scope: fc.constantFrom(...named) }),
  fc.record({ do: fc.constant('role' as const), who, add: role, remove: role }),
  fc.record({ do: fc.constant('ban' as const), who, back: fc.boolean() }),
  fc.record({ do: fc.constant('issue' as const), who, at, client: clients, asked }),
  fc.record({ do: fc.constant('exchange' as const), from: fc.nat(20), at, client: clients, asked }),
  fc.record({ do: fc.constant('personal' as const), who, at, asked }),
  fc.record({ do: fc.constant('narrowed' as const), from: fc.nat(20), at, asked }),
);

interface Credential {
  readonly who: number;
  readonly at: string;
  readonly client: string;
  readonly scopes: readonly string[];
  readonly version: number;
  /** Of a personal access token: what it is looked up with. */
  readonly token?: string;
}

class Model {
  readonly roles: Set<Permission>[] = [new Set(['user']), new Set(['mcp'])];
  readonly active = [true, true];
  /** `user 0|notes|notes:write` and the like. */
  readonly grants = new Set<string>();

  /** The client is not asked: what was granted to it raises no person who uses it. */
  may(user: number, server: string): Set<string> {
    const roles = this.roles[user] ?? new Set();
    if (!this.active[user]) return new Set();
    const level = Math.max(0, ...[...roles].map((one) => permissionLevels[one]));
    const tiers = permissions.filter((tier) => permissionLevels[tier] <= level);
    const subjects = [`user ${user}`, ...[...roles].map((one) => `role ${one}`)];
    const by = named.filter((scope) => subjects.some((one) => this.grants.has(`${one}|${server}|${scope}`)));
    return new Set<string>([...tiers, 'notes:read', ...by, ...(roles.has('admin') ? named : [])]);
  }
}

type Step<D extends string> = Extract<typeof step extends fc.Arbitrary<infer S> ? S : never, { readonly do: D }>;

/** The product and the model of it, side by side. */
class World {
  readonly model = new Model();
  readonly held: Credential[] = [];
  readonly ids: UserId[] = [];
  readonly people = new UserAdministration(test.database);
  readonly access = new AccessGrants(test.database, servers);
  readonly #tokens: PersonalTokens;
  readonly #lookup: PersonalTokenLookup;

  constructor() {
    const { database, identity } = test;
    const { entitlements } = identity;
    this.#tokens = new PersonalTokens({ database, resources, entitlements, maxDays: 30 });
    this.#lookup = new PersonalTokenLookup({ database, resources, entitlements });
  }

  /** Roles and clients are everybody's: a run begins without what an earlier one granted to them. */
  async begin(run: number): Promise<void> {
    for (const [index, first] of (['user', 'mcp'] as const).entries()) {
      this.ids.push((await this.people.create(admin, { name: `run${run}-${index}`, roles: [first] })).id);
    }
    for (const { id } of await this.access.list(admin, {})) await this.access.revoke(admin, { id });
  }

  async grant({ subject: { type, id }, at: server, scope }: Step<'grant'>): Promise<void> {
    await this.access.grant(admin, this.#request(type, id, server, scope));
    this.model.grants.add(`${type} ${id}|${server}|${scope}`);
  }

  async revoke({ subject: { type, id }, at: server, scope }: Step<'revoke'>): Promise<void> {
    const revoked = await tried(() => this.access.revoke(admin, this.#request(type, id, server, scope)));
    expect(revoked).toBe(this.model.grants.delete(`${type} ${id}|${server}|${scope}`));
  }

  async role(one: Step<'role'>): Promise<void> {
    if (one.add === one.remove) return;
    await this.people.changeRoles(admin, this.#id(one.who), { add: [one.add], remove: [one.remove] });
    this.model.roles[one.who]?.delete(one.remove);
    this.model.roles[one.who]?.add(one.add);
  }

  async ban(one: Step<'ban'>): Promise<void> {
    if (one.back) await this.people.unban(admin, this.#id(one.who));
    else await this.people.ban(admin, this.#id(one.who), 'x');
    this.model.active[one.who] = one.back;
  }

  async issue(one: Step<'issue'>): Promise<void> {
    const may = this.model.may(one.who, one.at);
    const issued = await tried(() => this.#issue(one.who, one.at, one.client, one.asked));
    expect(issued).toBe(this.model.active[one.who] === true && one.asked.every((scope) => may.has(scope)));
  }

  async exchange(one: Step<'exchange'>): Promise<void> {
    const from = this.held[one.from];
    if (from === undefined) return;
    const scopes = one.asked.filter((scope) => from.scopes.includes(scope));
    await tried(() => this.#issue(from.who, one.at, one.client, scopes));
  }

  /** With all of one's own rights. */
  async personal(one: Step<'personal'>): Promise<void> {
    await this.#personal(one.who, one.at, one.asked, [...(this.model.roles[one.who] ?? [])]);
  }

  /** With those of a token that may have been narrowed. */
  async narrowed(one: Step<'narrowed'>): Promise<void> {
    const from = this.held[one.from];
    if (from !== undefined) await this.#personal(from.who, one.at, one.asked, from.scopes);
  }

  /** Every credential that is still good holds no more than its user may have now. */
  async check(): Promise<void> {
    const users = await Promise.all(this.ids.map((id) => test.identity.users.get(id)));
    for (const credential of this.held) {
      const { who: index, token } = credential;
      const may = this.model.may(index, credential.at);
      const user = users[index];
      const found = token === undefined ? undefined : await this.#lookup.find(hash('sha256', token, 'buffer'));
      const signed = token === undefined && user?.status === 'active' && user.accessVersion === credential.version;
      for (const scope of signed ? credential.scopes : (found?.scopes ?? [])) {
        expect(may.has(scope), `${scope} at ${credential.at}`).toBe(true);
      }
    }
  }

  #id(index: number): UserId {
    return this.ids[index] as UserId;
  }

  #request(type: string, id: number | string, server: string, scope: string) {
    return { [type]: typeof id === 'number' ? this.#id(id) : id, server, scopes: [scope] };
  }

  /** What a token endpoint does: look up what may be had, and issue no more. */
  async #issue(index: number, server: string, client: string, scopes: readonly string[]): Promise<void> {
    const { users, entitlements, issuer } = test.identity;
    const user = await users.get(this.#id(index));
    const resource = { name: server, scopes: named.map((name) => ({ name })), openScopes: ['notes:read'] };
    const permitted = await entitlements.permittedScopes({ userId: user.id, clientId: client }, resource);
    const audience = mcpAudience(externalUrl, server);
    const sessionId = user.id as string as SessionId;
    await issuer.issue({ user, audience, scopes, ttlSeconds: 60, client, permitted, sessionId });
    this.held.push({ who: index, at: server, client, scopes, version: permitted.accessVersion });
  }

  async #personal(index: number, server: string, wanted: string[], scopes: readonly string[]): Promise<void> {
    const userId = this.#id(index);
    const most = Math.max(0, ...scopes.map(levelOf));
    const permission = permissions.find((tier) => levelOf(tier) === most) ?? 'anonymous';
    const actor: Actor = { userId, userName: 'x', scopes, permission };
    await tried(async () => {
      const made = await this.#tokens.create(actor, { userId, name: 'x', server, scopes: wanted });
      for (const scope of made.scopes) expect(levelOf(scope)).toBeLessThanOrEqual(most);
      this.held.push({ who: index, at: server, client: '', scopes: made.scopes, version: 0, token: made.token });
    });
  }
}

const levelOf = (scope: string): number => permissionLevels[scope as Permission] ?? 0;

/** A refusal is an answer too; anything else is a fault. */
async function tried(work: () => Promise<unknown>): Promise<boolean> {
  try {
    await work();
    return true;
  } catch (error) {
    if (error instanceof AppError) return false;
    throw error;
  }
}

let run = 0;
it('no sequence of grants, exchanges, step-ups and tokens raises a caller above what its user may do', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 8, maxLength: 25 }), async (steps) => {
      run += 1;
      const world = new World();
      await world.begin(run);
      for (const one of steps) {
        await world[one.do](one as never);
        await world.check();
      }
    }),
    { numRuns: 10 },
  );
});
