import { z } from 'zod';
import { secretReference } from './secret-reference.ts';

const loopback = new Set(['localhost', '127.0.0.1', '[::1]']);

/** OpenID Connect Discovery 1.0 section 3: https without query and fragment; http on this machine alone. */
function isIssuer(value: string): boolean {
  if (!URL.canParse(value)) return false;
  const { protocol, hostname, search, hash, username, password } = new URL(value);
  if (search !== '' || hash !== '' || username !== '' || password !== '') return false;
  return protocol === 'https:' || (protocol === 'http:' && loopback.has(hostname));
}

const provider = z
  .strictObject({
    id: z
      .string()
      .regex(/^[a-z0-9][a-z0-9-]{0,49}$/, 'must have lower-case letters, digits and dashes only, at most 50')
      .describe('What it is called in addresses: the way back is `<external_url>/auth/federation/<id>/callback`.'),
    name: z.string().trim().min(1).max(60).describe('What the sign-in page calls it.'),
    issuer: z
      .string()
      .max(500)
      .refine(isIssuer, {
        error: 'must be an https address without query',
        params: { hint: 'write it as the provider does in `issuer` of its discovery document' },
      })
      .describe('Its issuer: what is at `/.well-known/openid-configuration` below it is read.')
      .meta({ pattern: '^https?://' }),
    client_id: z.string().min(1).max(500).describe('What the instance is called there.'),
    client_secret: z
      .string()
      .min(1)
      .refine((value) => secretReference(value) !== undefined, {
        error: 'must be a secret',
        params: { hint: 'write ${secret:federation.company} and set it with `cloud secrets set`' },
      })
      .optional()
      .describe('The secret of the instance there, as `${secret:NAME}`; without one it is a public client.')
      .meta({ secretReference: true }),
    scopes: z
      .array(z.string().regex(/^[\x21\x23-\x5B\x5D-\x7E]+$/, 'must be a scope'))
      .max(20)
      .default(['openid', 'email', 'profile'])
      .describe('What is asked for there; `openid` is always.'),
    create_users: z
      .enum(['never', 'invited', 'domains'])
      .default('never')
      .describe(
        'Who may sign in by it that is not linked yet. `never`: nobody, people link it on their account page. `invited`: a user whom an admin has made with the mail address that the provider has verified, and who has never signed in. `domains`: besides, whoever has a verified address of one of `domains`, as a new user.',
      ),
    domains: z
      .array(
        z
          .string()
          .regex(
            /^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9-]{2,63}$/,
            'must be a domain in lower case, such as example.com',
          ),
      )
      .max(100)
      .default([])
      .describe('Domains of mail addresses, for `create_users: domains`; those below them are not meant.'),
  })
  .describe('A provider that people sign in with.');

export type FederationProvider = z.output<typeof provider>;

/** `security.federation` of the profile. */
export const federationField = z
  .array(provider)
  .max(20)
  .default([])
  .describe('OpenID Connect providers that people may sign in with.');
