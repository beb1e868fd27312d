import { z } from 'zod';
import { secretName } from '../../infra/config/secret-reference.ts';

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

/** `upstream_auth` of a server elsewhere. */
export const upstreamAuthSchema = z
  .discriminatedUnion('type', [none, key], { error: 'must have type none or key' })
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
    };

export function toUpstreamAuth(yaml: z.output<typeof upstreamAuthSchema> | undefined): UpstreamAuthConfig {
  if (yaml === undefined || yaml.type === 'none') return { type: 'none' };
  const { header } = yaml;
  const scheme = yaml.scheme ?? (header.toLowerCase() === 'authorization' ? 'Bearer' : '');
  return { type: 'key', per: yaml.per, header, ...(scheme === '' ? {} : { scheme }), secret: yaml.secret };
}
