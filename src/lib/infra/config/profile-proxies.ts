import { z } from 'zod';
import { secretReference, secretReferencePattern } from './secret-reference.ts';

const proxy = z.strictObject({
  id: z
    .string()
    .regex(/^[A-Za-z0-9._-]{1,64}$/, 'must be a name of letters, digits, ".", "_" and "-"')
    .describe('Its name: the `keyid` of its signatures.'),
  key: z
    .string()
    .refine((value) => secretReference(value) !== undefined, {
      error: 'must be a secret',
      params: { hint: 'keep the key with `cloud secrets set`, and write ${secret:NAME}' },
    })
    .meta({ secretReference: true, pattern: secretReferencePattern })
    .describe('The key that it signs with (HMAC-SHA256), 32 bytes at least; as `${secret:NAME}`.'),
  max_age_seconds: z
    .int()
    .min(1)
    .max(300)
    .default(30)
    .describe('How long one of its signatures may be good, in seconds.'),
});

/** `security.proxies` of the profile. */
export const proxiesField = z
  .array(proxy)
  .max(10)
  .refine((all) => new Set(all.map(({ id }) => id)).size === all.length, 'names a proxy twice')
  .default([])
  .describe(
    'Proxies in front of the API that sign who calls (`x-proxy-verified`, `x-user-id`, `x-user-permissions`). From anybody else these headers mean nothing.',
  );

export type ProxySettings = z.output<typeof proxy>;
