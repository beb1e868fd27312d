import { z } from 'zod';
import {
  type Grant,
  type GrantSubject,
  insertGrant,
  listGrants,
  recordIdentityEvent,
  revokeGrants,
} from '../../domain/auth/index.ts';
import type { McpServerConfig } from '../../domain/mcp/index.ts';
import { UserService } from '../../domain/users/index.ts';
import type { Database, Queryable } from '../../infra/database/connection.ts';
import type { Actor } from '../../shared/actor.ts';
import { NotFoundError, UsageError } from '../../shared/errors.ts';
import type { UserId } from '../../shared/ids.ts';
import { isPermission, permissions } from '../../shared/permission.ts';
import { unknownServer } from '../identity.ts';
import { checked } from './input.ts';
import { requireAdmin } from './rights.ts';

/** To whom, as people say it: exactly one of them. */
export interface SubjectInput {
  readonly user?: string | undefined;
  readonly role?: string | undefined;
  readonly agent?: string | undefined;
  readonly client?: string | undefined;
}

/** What is granted or taken back: scopes by name, or all that one tool asks for. */
export interface GrantRequest extends SubjectInput {
  readonly server: string;
  readonly scopes?: readonly string[] | undefined;
  readonly tool?: string | undefined;
}

const agentName = z.string().regex(/^[a-z0-9][a-z0-9_-]{0,62}$/, 'must be the name of an agent');
const clientId = z.string().regex(/^[\x21-\x7e]{1,2000}$/, 'must be printable ASCII without spaces');

/** Grants of named scopes, changed by admins. They only add: what somebody may not have, nobody else is asked to take. */
export class AccessGrants {
  readonly #database: Database;
  readonly #servers: readonly McpServerConfig[];

  constructor(database: Database, servers: readonly McpServerConfig[]) {
    this.#database = database;
    this.#servers = servers;
  }

  /**
   * Grants what is not granted yet.
   * @returns every grant that is asked for, and how many of them are new
   * @throws NotFoundError for a user or server; UsageError for a tier, or a scope that the server does not have
   */
  async grant(
    actor: Actor,
    request: GrantRequest,
  ): Promise<{ readonly grants: readonly Grant[]; readonly added: number }> {
    requireAdmin(actor, 'Granting access');
    const subject = await this.#subject(request);
    const server = this.#server(request.server);
    const scopes = scopesFor(server, request);
    return this.#database.transaction(async (tx) => {
      let added = 0;
      for (const scope of scopes) {
        const what = { subject, server: server.name, scope, tool: request.tool };
        const id = await insertGrant(tx, { ...what, by: actor.userId });
        if (id === undefined) continue;
        added += 1;
        await this.#record(tx, 'grant_added', actor, { ...what, id });
      }
      return { grants: await listGrants(tx, { subject, server: server.name, scopes }), added };
    });
  }

  /**
   * Takes grants back, by what they give or by id; tokens that were issued before are void with it.
   * @returns those that were in force
   * @throws NotFoundError when there is none
   */
  async revoke(actor: Actor, request: GrantRequest | { readonly id: string }): Promise<readonly Grant[]> {
    requireAdmin(actor, 'Taking access back');
    const filter =
      'id' in request ? { id: checked(z.uuid('must be the id of a grant'), request.id, 'The id') } : undefined;
    const wanted = filter ?? (await this.#filter(request as GrantRequest));
    return this.#database.transaction(async (tx) => {
      const found = await listGrants(tx, wanted);
      const revoked = new Set(
        await revokeGrants(
          tx,
          found.map(({ id }) => id),
          actor.userId,
        ),
      );
      const taken = found.filter(({ id }) => revoked.has(id));
      if (taken.length === 0) {
        throw new NotFoundError('There is no such grant in force', { next: ['admin access list'] });
      }
      for (const grant of taken) await this.#record(tx, 'grant_revoked', actor, grant);
      return taken;
    });
  }

  /** Grants in force, and with `all` those that were revoked too. @throws ForbiddenError; NotFoundError for a user */
  async list(
    actor: Actor,
    filter: SubjectInput & {
      readonly server?: string | undefined;
      readonly all?: boolean | undefined;
      readonly limit?: number;
    },
  ): Promise<readonly Grant[]> {
    requireAdmin(actor, 'The list of grants');
    const { server, all, limit, ...given } = filter;
    const some = Object.values(given).some((value) => value !== undefined);
    const subject = some ? await this.#subject(given) : undefined;
    return listGrants(this.#database, { subject, server, all, limit });
  }

  async #filter(request: GrantRequest): Promise<Parameters<typeof listGrants>[1]> {
    const subject = await this.#subject(request);
    const { scopes, tool, server } = request;
    if (tool === undefined) {
      // A server that is no longer configured may have grants all the same.
      return { subject, server, ...(scopes === undefined || scopes.length === 0 ? {} : { scopes }) };
    }
    return { subject, server, scopes: scopesFor(this.#server(server), request) };
  }

  async #subject(input: SubjectInput): Promise<GrantSubject> {
    const given = (['user', 'role', 'agent', 'client'] as const).filter((type) => input[type] !== undefined);
    const [type] = given;
    if (type === undefined || given.length > 1) {
      throw new UsageError('To whom? Name one user, role, agent or client', {
        hint: 'Give exactly one of --user, --role, --agent and --client.',
      });
    }
    const value = input[type] ?? '';
    if (type === 'user') return { type, id: (await new UserService(this.#database).find(value)).id };
    if (type === 'agent') return { type, id: checked(agentName, value, 'The agent') };
    if (type === 'client') return { type, id: checked(clientId, value, 'The client') };
    if (isPermission(value)) return { type, id: value };
    throw new UsageError(`There is no role ${value.slice(0, 80)}`, { hint: `Roles are: ${permissions.join(', ')}.` });
  }

  #server(name: string): McpServerConfig {
    const server = this.#servers.find((one) => one.name === name);
    if (server === undefined) throw unknownServer(name);
    return server;
  }

  #record(
    tx: Queryable,
    type: 'grant_added' | 'grant_revoked',
    actor: Actor,
    grant: {
      readonly id: string;
      readonly subject: GrantSubject;
      readonly server: string;
      readonly scope: string;
      readonly tool?: string | undefined;
    },
  ): Promise<void> {
    const { subject, server, scope, tool, id } = grant;
    return recordIdentityEvent(tx, {
      type,
      actorId: actor.userId,
      ...(subject.type === 'user' ? { userId: subject.id as UserId } : {}),
      ...(subject.type === 'client' ? { clientId: subject.id } : {}),
      resource: server,
      data: { grant: id, subject_type: subject.type, subject: subject.id, scope, tool },
    });
  }
}

/** Every named scope that a server and its tools ask for. */
export function namedScopes(server: McpServerConfig): string[] {
  const all = [...server.oauth.scopes, ...[...server.tools.values()].flatMap(({ scopes }) => scopes)];
  return [...new Set(all)].filter((scope) => !isPermission(scope));
}

function scopesFor(server: McpServerConfig, { scopes = [], tool }: GrantRequest): string[] {
  if (tool !== undefined && scopes.length > 0) throw new UsageError('Name a tool or scopes, not both');
  if (tool === undefined) {
    if (scopes.length === 0) throw new UsageError('Name the scopes, or a tool whose scopes are meant');
    const known = namedScopes(server);
    for (const scope of scopes) {
      if (isPermission(scope)) {
        throw new UsageError(`${scope} is a tier: it comes with a role and is never granted`, {
          hint: 'Give the user a role that implies it.',
          next: ['admin users role --help'],
        });
      }
      if (known.includes(scope)) continue;
      throw new UsageError(`Nothing of ${server.name} asks for the scope ${scope.slice(0, 80)}`, {
        hint: known.length === 0 ? 'It asks for tiers only.' : `It asks for: ${known.join(', ')}.`,
        data: { server: server.name, scope, known },
      });
    }
    return [...new Set(scopes)];
  }
  const asked = (server.tools.get(tool)?.scopes ?? []).filter((scope) => !isPermission(scope));
  if (asked.length > 0) return [...new Set(asked)];
  const others = [...server.tools].flatMap(([name, { scopes }]) =>
    scopes.some((one) => !isPermission(one)) ? [name] : [],
  );
  throw new UsageError(`The tool ${tool.slice(0, 80)} of ${server.name} asks for no scope of its own`, {
    hint: `${others.length === 0 ? '' : `These do: ${others.join(', ')}. `}What it needs comes with a role, or with what every caller of the server needs.`,
    next: [`plugins mcp tools ${server.name}`],
    data: { server: server.name, tool },
  });
}
