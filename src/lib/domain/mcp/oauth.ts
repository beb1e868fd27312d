import { z } from 'zod';
import { saying, scopeField, webAddress } from '../../infra/config/fields.ts';
import { isPermission, permissionLevels } from '../../shared/permission.ts';

/** Signature algorithms that tokens of other issuers may have: asymmetric ones only (RFC 8725 section 3.2). */
const algorithms = ['ES256', 'ES384', 'ES512', 'RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'EdDSA'] as const;

const describedScope = z
  .strictObject({
    name: scopeField.describe('The scope.'),
    description: saying('write what the scope allows, as people read it when they consent')
      .max(300)
      .optional()
      .describe('What it allows, in one sentence: shown to people when they consent.'),
    sensitive: z
      .boolean()
      .default(false)
      .describe('Never asked for ahead of need: a client gets it only when a tool that needs it is called.'),
    open: z
      .boolean()
      .default(false)
      .describe('Whether everyone who may call the server may have it, without a grant. For scopes of your own.'),
  })
  .describe('A scope and what it means.');

/** One scope that is needed: by name, or with what it means. */
export const scopeEntry = z.union([scopeField, describedScope], {
  error: 'must be a scope, or a map with name, description, sensitive and open',
});

const claimName = z.string().min(1).max(100);

const issuer = z
  .strictObject({
    issuer: webAddress.describe('The `iss` of its tokens, letter by letter.'),
    jwks_uri: webAddress.optional().describe('Where its keys are. Default: where its discovery document says.'),
    private_network: z
      .boolean()
      .default(false)
      .describe('Whether its keys may be fetched by http, and from addresses that are not public.'),
    audience: z
      .string()
      .min(1)
      .optional()
      .describe('The `aud` that its tokens must have. Default: the address of the server.'),
    algorithms: z
      .array(z.enum(algorithms))
      .min(1)
      .default(['ES256', 'RS256'])
      .describe('Signature algorithms that are accepted.'),
    service_account: z
      .string()
      .min(1)
      .max(63)
      .optional()
      .describe('The service account that its tokens stand for. Without it each is for the person of `subject_claim`.'),
    subject_claim: claimName
      .default('sub')
      .describe('The claim that names the person: whoever has linked that identity of this issuer.'),
    claims: z
      .record(
        claimName,
        z.union([z.string(), z.array(z.string()).min(1)], { error: 'must be text or a list of texts' }),
      )
      .default({})
      .describe('Claims that a token must have, each with the value or one of the values.'),
    scopes: z.array(scopeField).min(1).describe('The most that its tokens are good for.'),
    scope_claim: claimName
      .optional()
      .describe(
        'The claim with the scopes of a token; only those count that `scopes` has too. Default: all of `scopes`.',
      ),
  })
  .refine((value) => value.service_account === undefined || Object.keys(value.claims).length > 0, {
    path: ['service_account'],
    error: 'would be open to every token of that issuer',
    params: { hint: 'say in claims which of its tokens count, such as `sub: repo:acme/shop:ref:refs/heads/main`' },
  })
  .describe('An issuer of tokens that the server takes beside those of the instance.');

/** `oauth` of a server, as it is written. */
export const oauthSchema = z
  .strictObject({
    required: z
      .boolean()
      .refine((value) => value, {
        error: 'must be true',
        params: { hint: 'every caller signs in; there are no anonymous callers' },
      })
      .default(true)
      .describe('Whether callers must sign in. They must.'),
    scopes: z
      .array(scopeEntry)
      .refine((scopes) => scopes.length > 0, {
        error: 'must name at least one scope',
        params: { hint: 'a server that asks for none would be open to every token, write [user] for example' },
      })
      .describe('What every caller of the server needs: permission tiers (`admin`, `user`, …) or scopes of your own.'),
    default_scopes: z
      .array(scopeField)
      .min(1)
      .optional()
      .describe(
        'What a client gets that asks for nothing. Default: every scope of server and tools that is not sensitive.',
      ),
    token_ttl_seconds: z
      .int()
      .min(60)
      .max(86_400)
      .optional()
      .describe('How long a token for this server lives at most, in seconds. Default: as the profile says.'),
    own_key: z
      .boolean()
      .default(false)
      .describe('Whether tokens for this server are signed with a key of its own, rotated and revoked apart.'),
    dpop: z
      .enum(['required', 'optional'])
      .default('optional')
      .describe('Whether tokens must be bound to a key of the client (RFC 9449).'),
    audience: z
      .string()
      .optional()
      .describe('Accepted from older files; the audience is always the address of the server.'),
    clients: z
      .array(z.string().min(1).max(500))
      .min(1)
      .optional()
      .describe('The only clients whose tokens are accepted, by their ids. Default: any.'),
    client_id: z.string().min(1).optional().describe('Older form of `clients`, with one.'),
    issuers: z.array(issuer).default([]).describe('Further issuers whose tokens are accepted.'),
  })
  .refine((value) => value.client_id === undefined || value.clients === undefined, {
    path: ['client_id'],
    error: 'is there beside `clients`',
    params: { hint: 'keep one of the two' },
  })
  .describe('Who may call the server.');

type ScopeEntry = z.output<typeof scopeEntry>;

/** What is known of a scope beside its name. */
export interface ScopeDetails {
  readonly description?: string;
  readonly sensitive: boolean;
  readonly open: boolean;
}

/** An issuer whose tokens a server takes beside the instance's own. */
export interface McpIssuer {
  readonly issuer: string;
  /** Absent: the one of its discovery document. */
  readonly jwksUri?: string;
  /** Whether its keys may be asked for by http, and at addresses that are not public. */
  readonly privateNetwork: boolean;
  /** Absent: the server's own. */
  readonly audience?: string;
  readonly algorithms: readonly string[];
  /** Name of the service account that its tokens stand for; absent: the person of the subject. */
  readonly serviceAccount?: string;
  readonly subjectClaim: string;
  /** What a token must say: the claim has one of the values. */
  readonly claims: ReadonlyMap<string, readonly string[]>;
  readonly scopes: readonly string[];
  readonly scopeClaim?: string;
}

/** Who may call a server. What is absent was left at its default. */
export interface McpOauth {
  readonly required: boolean;
  /** What every caller needs. */
  readonly scopes: readonly string[];
  /** Of scopes that are more than a name. */
  readonly details?: ReadonlyMap<string, ScopeDetails>;
  readonly defaultScopes?: readonly string[];
  readonly tokenTtlSeconds?: number;
  readonly ownKey?: boolean;
  readonly requireDpop?: boolean;
  readonly clients?: readonly string[];
  readonly issuers?: readonly McpIssuer[];
}

export function scopeName(entry: ScopeEntry): string {
  return typeof entry === 'string' ? entry : entry.name;
}

/** The section in the words of the code. @param tools the entries of all tools */
export function toOauth(yaml: z.output<typeof oauthSchema>, tools: readonly ScopeEntry[]): McpOauth {
  const details = new Map<string, ScopeDetails>();
  for (const entry of [...yaml.scopes, ...tools]) {
    if (typeof entry === 'string') continue;
    const { name, description, ...marks } = entry;
    details.set(name, description === undefined ? marks : { description, ...marks });
  }
  const clients = yaml.clients ?? (yaml.client_id === undefined ? undefined : [yaml.client_id]);
  return {
    required: yaml.required,
    scopes: [...new Set(yaml.scopes.map(scopeName))],
    ...(details.size === 0 ? {} : { details }),
    ...(yaml.default_scopes === undefined ? {} : { defaultScopes: yaml.default_scopes }),
    ...(yaml.token_ttl_seconds === undefined ? {} : { tokenTtlSeconds: yaml.token_ttl_seconds }),
    ...(yaml.own_key ? { ownKey: true } : {}),
    ...(yaml.dpop === 'required' ? { requireDpop: true } : {}),
    ...(clients === undefined ? {} : { clients }),
    ...(yaml.issuers.length === 0 ? {} : { issuers: yaml.issuers.map(toIssuer) }),
  };
}

function toIssuer(yaml: z.output<typeof issuer>): McpIssuer {
  const { jwks_uri: jwksUri, audience, service_account: serviceAccount, scope_claim: scopeClaim } = yaml;
  return {
    issuer: yaml.issuer,
    ...(jwksUri === undefined ? {} : { jwksUri }),
    ...(audience === undefined ? {} : { audience }),
    privateNetwork: yaml.private_network,
    algorithms: yaml.algorithms,
    ...(serviceAccount === undefined ? {} : { serviceAccount }),
    subjectClaim: yaml.subject_claim,
    claims: new Map(Object.entries(yaml.claims).map(([name, value]) => [name, [value].flat()])),
    scopes: yaml.scopes,
    ...(scopeClaim === undefined ? {} : { scopeClaim }),
  };
}

interface Place {
  readonly path: readonly (string | number)[];
  readonly message: string;
  readonly hint: string;
}

/** What the parts of a server say against each other about scopes. */
export function scopeFaults(server: {
  readonly oauth: z.output<typeof oauthSchema>;
  readonly tools: Readonly<Record<string, { readonly scopes: readonly ScopeEntry[] }>>;
}): Place[] {
  const { oauth, tools } = server;
  const faults: Place[] = [];
  const described = new Map<string, string>();
  const sensitive = new Set<string>();
  const known = new Set<string>();
  const look = (entry: ScopeEntry, path: readonly (string | number)[]) => {
    known.add(scopeName(entry));
    if (typeof entry === 'string') return;
    const { name } = entry;
    if (entry.open && isPermission(name)) {
      const hint = 'a tier comes with the roles of a user; leave open out, or give the scope a name of its own';
      faults.push({ path: [...path, 'open'], message: `the tier ${name} can't be open`, hint });
    }
    if (entry.sensitive) sensitive.add(name);
    const [first, same] = [described.get(name), JSON.stringify(entry)];
    described.set(name, first ?? same);
    if (first === undefined || first === same) return;
    faults.push({
      path,
      message: `the scope ${name} is described twice`,
      hint: 'describe it once, and name it elsewhere',
    });
  };
  for (const [index, entry] of oauth.scopes.entries()) {
    look(entry, ['oauth', 'scopes', index]);
    if (typeof entry === 'string' || !entry.sensitive) continue;
    const hint = 'move it to the tools that need it: what every caller needs is asked for at sign-in';
    faults.push({ path: ['oauth', 'scopes', index, 'sensitive'], message: `every caller needs ${entry.name}`, hint });
  }
  for (const [tool, { scopes }] of Object.entries(tools)) {
    for (const [index, entry] of scopes.entries()) look(entry, ['tools', tool, 'scopes', index]);
  }
  const lists = [
    { path: ['oauth', 'default_scopes'], scopes: oauth.default_scopes ?? [] },
    ...oauth.issuers.map((one, index) => ({ path: ['oauth', 'issuers', index, 'scopes'], scopes: one.scopes })),
  ];
  const tiers = tiersFor(oauth.scopes.map(scopeName));
  for (const { path, scopes } of lists) {
    for (const [index, name] of scopes.entries()) {
      if (known.has(name) || tiers.includes(name)) continue;
      const hint = `server and tools ask for: ${[...known].slice(0, 20).join(', ')}`;
      faults.push({ path: [...path, index], message: 'is a scope that nothing asks for', hint });
    }
  }
  for (const [index, name] of (oauth.default_scopes ?? []).entries()) {
    if (!sensitive.has(name)) continue;
    const hint = 'a sensitive scope is never given unasked; take it out here';
    faults.push({ path: ['oauth', 'default_scopes', index], message: 'is sensitive', hint });
  }
  return faults;
}

/** The tiers that a token for a server may have: those that imply the lowest that every caller needs. */
export function tiersFor(required: readonly string[]): string[] {
  const asked = required.filter(isPermission).map((tier) => permissionLevels[tier]);
  if (asked.length === 0) return [];
  const lowest = Math.min(...asked);
  return Object.entries(permissionLevels).flatMap(([tier, level]) => (level >= lowest ? [tier] : []));
}
