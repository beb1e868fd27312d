import { z } from 'zod';
import { scopeField, webAddress } from '../../infra/config/fields.ts';
import { secretName, secretReference } from '../../infra/config/secret-reference.ts';

const per = z
  .enum(['shared', 'user'])
  .default('shared')
  .describe('Whether all callers use the same, or each brings their own.');

const none = z.strictObject({ type: z.literal('none').describe('It asks for nothing.') });

const key = z.strictObject({
  type: z.literal('key').describe('A key goes with each request.'),
  per,
  header: z
    .string()
    .regex(/^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}$/, 'must be the name of a header')
    .default('Authorization')
    .describe('The header that it goes in.'),
  scheme: z
    .string()
    .regex(/^[A-Za-z0-9._~+/-]{0,50}$/, 'must be one word, or empty')
    .optional()
    .describe('The word before it. Default: `Bearer` in Authorization, none in other headers.'),
  secret: z
    .string()
    .regex(secretName, 'must be the name of a secret')
    .describe('The name of the secret that holds it, be it of the instance or of a user.'),
});

const oauth = z.strictObject({
  type: z.literal('oauth').describe('Tokens of its authorization server.'),
  per,
  scopes: z.array(scopeField).default([]).describe('What is asked for. Default: what the server says.'),
  client_id: z
    .string()
    .min(1)
    .max(2000)
    .optional()
    .describe('Our id there. Default: the address of our client document, else one that is registered.'),
  client_secret: z
    .string()
    .refine((value) => secretReference(value) !== undefined, {
      error: 'must name a secret',
      params: { hint: 'keep it with cloud secrets set, and write ${secret:NAME}' },
    })
    .optional()
    .describe(
      'Our secret there, as `${secret:NAME}`. With `per: shared` the instance itself asks for tokens by it, and nobody signs in.',
    )
    .meta({ secretReference: true }),
  issuer: webAddress
    .optional()
    .describe('Its authorization server, wanted with a client_secret. Default: the first that its metadata names.'),
});

/** `upstream_auth` of a server elsewhere. */
export const upstreamAuthSchema = z
  .discriminatedUnion('type', [none, key, oauth], { error: 'must have type none, key or oauth' })
  .superRefine((auth, context) => {
    if (auth.type !== 'oauth' || auth.client_secret === undefined) return;
    const needs = (message: string) => context.addIssue({ code: 'custom', path: ['client_secret'], message });
    if (auth.client_id === undefined) needs('needs the client_id that it belongs to');
    // Else the server elsewhere says who is shown the secret.
    if (auth.issuer === undefined) needs('needs the issuer that it is for');
  })
  .describe('What the server elsewhere asks of us.');

/** What a server elsewhere asks of us. */
export type UpstreamAuthConfig =
  | { readonly type: 'none' }
  | {
      readonly type: 'key';
      readonly per: 'shared' | 'user';
      readonly header: string;
      /** The word before the key; undefined: none. */
      readonly scheme?: string;
      /** Name of the secret. */
      readonly secret: string;
    }
  | {
      readonly type: 'oauth';
      readonly per: 'shared' | 'user';
      readonly scopes: readonly string[];
      readonly clientId?: string;
      /** Name of the secret that holds it. */
      readonly clientSecret?: string;
      readonly issuer?: string;
    };

export function toUpstreamAuth(yaml: z.output<typeof upstreamAuthSchema> | undefined): UpstreamAuthConfig {
  if (yaml === undefined || yaml.type === 'none') return { type: 'none' };
  if (yaml.type === 'oauth') {
    const clientSecret = yaml.client_secret === undefined ? undefined : secretReference(yaml.client_secret);
    return {
      type: 'oauth',
      per: yaml.per,
      scopes: yaml.scopes,
      ...(yaml.client_id === undefined ? {} : { clientId: yaml.client_id }),
      ...(clientSecret === undefined ? {} : { clientSecret }),
      ...(yaml.issuer === undefined ? {} : { issuer: yaml.issuer }),
    };
  }
  const { header } = yaml;
  const scheme = yaml.scheme ?? (header.toLowerCase() === 'authorization' ? 'Bearer' : '');
  return { type: 'key', per: yaml.per, header, ...(scheme === '' ? {} : { scheme }), secret: yaml.secret };
}
