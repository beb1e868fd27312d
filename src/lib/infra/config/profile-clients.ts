import { z } from 'zod';

const loopback = new Set(['localhost', '127.0.0.1', '[::1]']);

/** https without query, fragment and credentials; http on this machine alone. */
function isIssuerAddress(value: string): boolean {
  if (!URL.canParse(value)) return false;
  const { protocol, hostname, search, hash, username, password } = new URL(value);
  if (search !== '' || hash !== '' || username !== '' || password !== '') return false;
  return protocol === 'https:' || (protocol === 'http:' && loopback.has(hostname));
}

/** `security.registration` of the profile. */
export const registrationField = z
  .enum(['open', 'off'])
  .default('open')
  .describe(
    'Whether apps may register themselves (RFC 7591), as older MCP clients do. They get nothing by it but the right to ask people for a sign-in. `off`: only clients that `admin clients create` has made, and those of `client_documents`.',
  );

/** `security.registration_limits` of the profile. */
export const registrationLimitsField = z
  .strictObject({
    per_network_per_hour: z
      .int()
      .min(1)
      .max(10_000)
      .default(20)
      .describe('Registrations from one address (of IPv6 one /64 network) within an hour.'),
    max_clients: z.int().min(1).max(1_000_000).default(5000).describe('Apps that have registered themselves, in all.'),
    unused_hours: z
      .int()
      .min(1)
      .max(8760)
      .default(24)
      .describe('After how many hours one is removed that was never used.'),
    idle_days: z
      .int()
      .min(1)
      .max(3650)
      .default(90)
      .describe('After how many days one is removed that is used no more, and that nobody is signed in with.'),
  })
  .prefault({})
  .describe('How many apps may register themselves.');

/** `security.client_documents` of the profile. */
export const clientDocumentsField = z
  .strictObject({
    mode: z
      .enum(['open', 'off'])
      .default('open')
      .describe('Whether apps are known by a document that they publish at an https address, which is their id.'),
    hosts: z
      .array(
        z
          .string()
          .regex(
            /^(\*\.)?([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9-]{2,63}$/,
            'must be a host in lower case, such as example.com or *.example.com',
          ),
      )
      .max(200)
      .default([])
      .describe('Hosts of such documents, `*.example.com` for all below one. Empty: any.'),
  })
  .prefault({})
  .describe('Apps that publish a document of themselves (client-id metadata documents).');

const address = z
  .string()
  .max(500)
  .refine(isIssuerAddress, {
    error: 'must be an https address without query',
    params: { hint: 'http is for this machine alone' },
  });

const workload = z
  .strictObject({
    issuer: address
      .describe('The `iss` of the tokens of the platform, such as https://token.actions.githubusercontent.com.')
      .meta({ pattern: '^https?://' }),
    jwks_uri: address
      .optional()
      .describe('Where its keys are. Default: what its discovery document says.')
      .meta({ pattern: '^https?://' }),
    audience: z
      .string()
      .min(1)
      .max(500)
      .optional()
      .describe('The `aud` that a token must have. Default: `security.issuer`.'),
    subject: z.string().min(1).max(500).optional().describe('The `sub` that it must have; `*` for any characters.'),
    claims: z
      .record(z.string().min(1).max(100), z.string().min(1).max(500))
      .default({})
      .describe('Further claims that it must have, such as `repository` and `ref`; `*` for any characters.'),
    service_account: z
      .string()
      .min(1)
      .max(200)
      .describe('Id of the client that the job signs in as: `admin clients create <id> --service --workload`.'),
    ttl_seconds: z.int().min(60).max(3600).default(900).describe('How long what it gets lives at most, in seconds.'),
    private_network: z
      .boolean()
      .default(false)
      .describe(
        'Whether the platform may be within the own network. Its keys are fetched from public addresses otherwise.',
      ),
  })
  .refine(({ subject, claims }) => [subject, ...Object.values(claims)].some((text) => text && /[^*]/.test(text)), {
    error: 'takes every job of the platform, of whomever it is',
    params: { hint: 'say which `subject` or which `claims` it must have, such as repository' },
  })
  .describe('Jobs of a platform that may sign in as a service account.');

/** `security.workload_identity` of the profile. */
export const workloadIdentityField = z
  .array(workload)
  .max(100)
  .default([])
  .describe('Platforms whose signed tokens are taken in place of a secret, as of CI jobs.');
