import type { Queryable } from '../../infra/database/connection.ts';
import type { UserId } from '../../shared/ids.ts';
import { covers, isPermission, type Permission, permissions } from '../../shared/permission.ts';
import type { AskingServer } from '../asking-servers.ts';

/** What must be known of a resource server to tell who may have which of its scopes. */
export interface EntitledResource {
  readonly name: string;
  /** All that may be asked for: tiers and named ones. */
  readonly scopes: readonly { readonly name: string }[];
  /** Named scopes that everybody has without a grant. */
  readonly openScopes: readonly string[];
  /** Of a virtual server: it and its targets. A scope must be open or granted at each that asks for it. */
  readonly askedBy?: readonly AskingServer[] | undefined;
}

/**
 * For whom: a user, and the client or agent by which they act. What was granted to that one counts where it acts for itself, by
 * its service account; a person's own rights don't grow by what they use.
 */
export interface Holder {
  readonly userId: UserId;
  readonly clientId?: string | undefined;
  readonly agent?: string | undefined;
  /** What somebody works with who asks in the user's name: tiers beyond it do not count. */
  readonly within?: readonly string[] | undefined;
}

/** The most that a token for one resource may hold. */
export interface Permitted {
  /** Whether the user may act at all; without it there are no scopes. */
  readonly active: boolean;
  readonly scopes: ReadonlySet<string>;
  /** Of the user, at the moment of the look-up: stands in the token, and makes it void when something is taken away. */
  readonly accessVersion: number;
}

/** Who may have which scopes. Everything that issues a token asks it, at every issue. */
export interface Entitlements {
  /** @throws DatabaseUnavailableError: without an answer nothing is issued */
  permittedScopes(holder: Holder, resource: EntitledResource): Promise<Permitted>;
}

/** What the database knows of a holder at one resource. */
export interface Standing {
  readonly roles: readonly Permission[];
  /** Named scopes by grants that are in force, at this resource. */
  readonly granted: readonly string[];
}

/**
 * The rule: the tiers that the roles imply, the open scopes, and what was granted among the scopes that the resource has.
 * An admin has all of them. Nothing is ever taken away by a grant.
 */
export function scopesOf({ roles, granted }: Standing, resource: EntitledResource): ReadonlySet<string> {
  const named = resource.scopes.map(({ name }) => name).filter((name) => !isPermission(name));
  const given = new Set([...resource.openScopes, ...granted]);
  const all = roles.includes('admin');
  return new Set<string>([
    ...permissions.filter((tier) => covers(roles, tier)),
    ...named.filter((name) => all || given.has(name)),
  ]);
}

const nobody: Permitted = Object.freeze({ active: false, scopes: new Set<string>(), accessVersion: 0 });

interface StandingRow {
  readonly status: string;
  readonly roles: readonly string[];
  readonly access_version: number;
  /** `<server> <scope>` */
  readonly granted: readonly string[];
}

/** Entitlements by the roles and grants in the database: one statement for each question, so that it is of one moment. */
export class DatabaseEntitlements implements Entitlements {
  readonly #database: Queryable;

  constructor(database: Queryable) {
    this.#database = database;
  }

  async permittedScopes(holder: Holder, resource: EntitledResource): Promise<Permitted> {
    const { within } = holder;
    const askedBy = resource.askedBy ?? [own(resource)];
    const reach = within && permissions.filter((tier) => covers(within, tier));
    const [row] = await this.#database.query<StandingRow>(
      `SELECT u.status, u.roles, u.access_version, ARRAY(
         SELECT DISTINCT g.server || ' ' || g.scope FROM access_grants g
         WHERE g.revoked_at IS NULL AND g.server = ANY ($2) AND (
           (g.subject_type = 'user' AND g.subject = u.id::text) OR
           (g.subject_type = 'role' AND g.subject = ANY (u.roles) AND ($5::text[] IS NULL OR g.subject = ANY ($5))) OR
           (u.kind = 'service' AND g.subject_type = 'client' AND g.subject = $3) OR
           (u.kind = 'service' AND g.subject_type = 'agent' AND g.subject = $4))) AS granted
       FROM users u WHERE u.id = $1`,
      [holder.userId, askedBy.map(({ name }) => name), holder.clientId ?? null, holder.agent ?? null, reach ?? null],
      { name: 'permitted_scopes' },
    );
    if (row === undefined) return nobody;
    const accessVersion = row.access_version;
    if (row.status !== 'active') return { active: false, scopes: nobody.scopes, accessVersion };
    const held = row.roles.filter(isPermission);
    const roles = reach === undefined ? held : reach.filter((tier) => covers(held, tier));
    const scopes = scopesOf({ roles, granted: grantedIn(askedBy, new Set(row.granted)) }, resource);
    return { active: true, scopes, accessVersion };
  }
}

function own({ name, scopes, openScopes }: EntitledResource): AskingServer {
  return { name, scopes: scopes.map((scope) => scope.name), openScopes };
}

/** The scopes that are open or granted at every server that asks for them. @param granted `<server> <scope>` */
function grantedIn(askedBy: readonly AskingServer[], granted: ReadonlySet<string>): string[] {
  const asked = new Set(askedBy.flatMap(({ scopes }) => scopes));
  return [...asked].filter((scope) =>
    askedBy.every(
      ({ name, scopes, openScopes }) =>
        !scopes.includes(scope) || openScopes.includes(scope) || granted.has(`${name} ${scope}`),
    ),
  );
}
