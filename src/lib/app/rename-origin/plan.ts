import { isIP } from 'node:net';
import { type BoundPasskey, type OriginUses, originUses } from '../../domain/auth/index.ts';
import type { McpServerConfig } from '../../domain/mcp/index.ts';
import type { Profile } from '../../infra/config/profile.ts';
import type { Queryable } from '../../infra/database/connection.ts';
import { PreconditionError, UsageError } from '../../shared/errors.ts';
import { isLoopback } from '../../shared/loopback.ts';
import type { ConfigChange } from '../config/change.ts';
import { resourceMetadataUrl } from '../identity.ts';
import { oauthRoutes } from '../oauth/paths.ts';
import { type ResourceServer, resourceServers } from '../resources.ts';

/** Something that is called otherwise afterwards. */
export interface Renamed {
  readonly what: string;
  readonly before: string;
  readonly after: string;
}

/** What a new address of the instance would change, and for whom. */
export interface RenamePlan {
  readonly from: string;
  readonly to: string;
  /** Whether tokens get another issuer: then every token that was signed before is refused. */
  readonly issuer: Renamed & { readonly changes: boolean };
  /** The audiences with their documents (RFC 9728), the endpoints, and where other providers send people back to. */
  readonly addresses: readonly (Renamed & { readonly kind: 'audience' | 'metadata' | 'endpoint' | 'federation' })[];
  /** The name that passkeys are made for; undefined where there can be none. */
  readonly rpId: { readonly before: string | undefined; readonly after: string | undefined };
  /** Those that work now and will not. */
  readonly lostPasskeys: readonly BoundPasskey[];
  /** Those that do not work now and will. */
  readonly foundPasskeys: readonly BoundPasskey[];
  /** Names of users who have a passkey now and none afterwards. */
  readonly lockedOut: readonly string[];
  readonly uses: OriginUses;
  readonly personalTokensEnd: boolean;
  /** Whether tokens that were signed before are refused: by their issuer, or by what they are for. */
  readonly signedTokensEnd: boolean;
  /** Addresses that requests may name beside the new one. */
  readonly trusted: { readonly before: readonly string[]; readonly after: readonly string[] };
  /** Audiences that other issuers have to put into their tokens from then on. */
  readonly foreignAudiences: readonly (Renamed & { readonly issuer: string })[];
  /** What has to be done or looked at elsewhere. */
  readonly notes: readonly string[];
  readonly changes: readonly ConfigChange[];
}

export interface RenameRequest {
  readonly address: string;
  /** Requests may go on naming the old address. */
  readonly keepOld: boolean;
}

export interface RenameContext {
  readonly database: Queryable;
  readonly profile: Profile;
  readonly servers: readonly McpServerConfig[];
}

/**
 * Finds out what a new address would change. Nothing is changed.
 * @throws UsageError for what is no origin or the one that it has; PreconditionError for plain http between machines
 */
export async function planRename(context: RenameContext, request: RenameRequest): Promise<RenamePlan> {
  const { profile } = context;
  const from = profile.server.external_url;
  const to = newOrigin(request.address, from);
  const issuerBefore = profile.security.issuer;
  // An issuer that is another than the address was made so on purpose, and stays.
  const moves = issuerBefore === from;
  const issuerAfter = moves ? to : issuerBefore;
  const trusted = trustedAddresses(profile.security.audiences, from, to, request.keepOld);
  const uses = await originUses(context.database, from);
  const rpId = { before: rpIdOf(from), after: rpIdOf(to) };
  const works = (name: string | undefined) => (passkey: BoundPasskey) => passkey.rpId === name;
  const [now, later] = [uses.passkeys.filter(works(rpId.before)), uses.passkeys.filter(works(rpId.after))];
  const able = new Set(later.map(({ userId }) => userId));
  const [old, fresh] = [from, to].map((externalUrl) => resourcesAt(context, externalUrl)) as [Servers, Servers];
  const federation = profile.security.federation.map(({ id, name }) => ({
    kind: 'federation' as const,
    what: `the way back from ${name}`,
    before: `${from}/auth/federation/${id}/callback`,
    after: `${to}/auth/federation/${id}/callback`,
  }));
  return {
    from,
    to,
    issuer: { what: 'issuer', before: issuerBefore, after: issuerAfter, changes: issuerBefore !== issuerAfter },
    addresses: [...resourceAddresses(old, fresh), ...endpoints(from, to), ...federation],
    rpId,
    lostPasskeys: rpId.before === rpId.after ? [] : now,
    foundPasskeys: rpId.before === rpId.after ? [] : later,
    lockedOut: [...new Set(now.filter(({ userId }) => !able.has(userId)).map(({ userName }) => userName))],
    uses,
    personalTokensEnd: !request.keepOld,
    signedTokensEnd: issuerBefore !== issuerAfter || !request.keepOld,
    trusted,
    foreignAudiences: foreignAudiences(old, fresh),
    notes: notesOn(context, { from, to, moves, keepOld: request.keepOld, federated: federation.length > 0, rpId }),
    changes: [
      { path: ['server', 'external_url'], value: to },
      // Where it is written down all the same, it would not follow.
      ...(moves ? [{ path: ['security', 'issuer'], unset: true as const }] : []),
      ...(trusted.after.join() === trusted.before.join()
        ? []
        : [{ path: ['security', 'audiences'], value: trusted.after }]),
    ],
  };
}

/** The name that passkeys are made for at an origin: an address has none (WebAuthn level 3, section 5.1.2). */
export function rpIdOf(origin: string): string | undefined {
  const { hostname } = new URL(origin);
  return isIP(hostname) === 0 && !hostname.startsWith('[') ? hostname : undefined;
}

function newOrigin(address: string, from: string): string {
  const hint = 'Write it as https://prompt.example.com';
  const shown = address.slice(0, 200);
  const url = URL.canParse(address) ? new URL(address) : undefined;
  const web = url?.protocol === 'https:' || url?.protocol === 'http:';
  if (url === undefined || !web) throw new UsageError(`${shown} is no http or https address`, { hint });
  const bare =
    url.pathname === '/' && url.search === '' && url.hash === '' && url.username === '' && url.password === '';
  if (!bare || address.includes('?') || address.includes('#')) {
    throw new UsageError('The address of an instance is scheme, host and port, and nothing else', { hint });
  }
  if (url.hostname.endsWith('.')) throw new UsageError('A host name without a dot at its end, please', { hint });
  if (url.origin === from)
    throw new UsageError(`${from} is the address already`, { next: ['admin identity rename-origin --help'] });
  const plain = (one: URL): boolean => one.protocol === 'http:' && !isLoopback(one.hostname);
  if (plain(url) && !plain(new URL(from))) {
    throw new PreconditionError(`${url.origin} would be spoken to in clear text: tokens can be read on the way`, {
      hint: 'Give an https address. Plain http between machines is kept where the profile has it already (server.external_url), and not begun here.',
      next: ['admin identity rename-origin --help'],
    });
  }
  return url.origin;
}

function trustedAddresses(before: readonly string[], from: string, to: string, keepOld: boolean) {
  const others = before.filter((address) => address !== to);
  const after = keepOld && !others.includes(from) ? [...others, from] : others;
  return { before, after };
}

type Servers = readonly ResourceServer[];

function resourcesAt({ servers, profile }: RenameContext, externalUrl: string): Servers {
  return resourceServers(servers, { externalUrl, maxTtlSeconds: profile.security.access_token_ttl_seconds }).all();
}

function resourceAddresses(old: Servers, fresh: Servers): RenamePlan['addresses'] {
  return old.flatMap(({ name, audience }, index) => {
    const after = fresh[index]?.audience ?? audience;
    const metadata = { before: resourceMetadataUrl(audience), after: resourceMetadataUrl(after) };
    return [
      { kind: 'audience' as const, what: `audience of ${name}`, before: audience, after },
      { kind: 'metadata' as const, what: `metadata of ${name}`, ...metadata },
    ];
  });
}

function endpoints(from: string, to: string): RenamePlan['addresses'] {
  const names = {
    authorization: 'authorize',
    token: 'token',
    jwks: 'keys',
    code_verification: 'codes of devices',
  } as const;
  return Object.entries(names).map(([route, what]) => {
    const path = oauthRoutes[route as keyof typeof names];
    return { kind: 'endpoint', what: `address of ${what}`, before: `${from}${path}`, after: `${to}${path}` };
  });
}

/** An audience that the configuration does not write out is the server's own address, and goes with it. */
function foreignAudiences(old: Servers, fresh: Servers): RenamePlan['foreignAudiences'] {
  return old.flatMap(({ name, issuers }, index) =>
    issuers.flatMap(({ issuer, audience }, place) => {
      const after = fresh[index]?.issuers[place]?.audience ?? audience;
      return after === audience ? [] : [{ what: `tokens for ${name}`, issuer, before: audience, after }];
    }),
  );
}

function notesOn(
  { profile }: RenameContext,
  facts: {
    readonly from: string;
    readonly to: string;
    readonly moves: boolean;
    readonly keepOld: boolean;
    readonly federated: boolean;
    readonly rpId: RenamePlan['rpId'];
  },
): string[] {
  const { from, to } = facts;
  const { server } = profile;
  const { protocol, port } = new URL(to);
  const listens = server.https.certificate === undefined ? 'http' : 'https';
  const given = port === '' ? (protocol === 'https:' ? 443 : 80) : Number(port);
  const notes: string[] = [];
  if (`${listens}:` !== protocol || given !== server.port) {
    notes.push(
      `The API listens by ${listens} on port ${server.port}: a proxy has to pass ${to} on to it, with its Host`,
    );
  } else if (server.https.certificate !== undefined) {
    notes.push('The certificate has to be for the new name as well');
  }
  if (facts.federated) notes.push('Each other provider has to know the new way back before people sign in with it');
  if (facts.rpId.after === undefined) notes.push('There are no passkeys at an address without a name');
  if (server.cors_allowed_origins.includes(from)) notes.push(`server.cors_allowed_origins still names ${from}`);
  if (!facts.moves) notes.push('security.issuer is written down apart from the address, and stays');
  if (!facts.keepOld)
    notes.push(`Requests that name ${new URL(from).host} are refused from then on (--keep-old lets them in)`);
  return notes;
}
