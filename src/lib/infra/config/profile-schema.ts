import { z } from 'zod';
import { profileNameForm } from './active-profile.ts';
import { serviceLimitsSchema } from './limits-schema.ts';
import {
  clientDocumentsField,
  registrationField,
  registrationLimitsField,
  workloadIdentityField,
} from './profile-clients.ts';
import { federationField } from './profile-federation.ts';
import { httpOrigin, plainNameMessage, portRange } from './profile-fields.ts';
import { mailSection } from './profile-mail.ts';
import { proxiesField } from './profile-proxies.ts';
import { rateLimitsSection } from './profile-rate-limits.ts';
import { serverSection } from './profile-server.ts';
import { telemetrySection } from './profile-telemetry.ts';
import { secretReference } from './secret-reference.ts';

function isDatabaseUrl(value: string): boolean {
  if (secretReference(value) !== undefined) return true;
  if (!URL.canParse(value)) return false;
  const { protocol, pathname } = new URL(value);
  return (protocol === 'postgres:' || protocol === 'postgresql:') && pathname.length > 1;
}

const database = z
  .strictObject({
    url: z
      .string()
      .refine(isDatabaseUrl, {
        error: 'must be a postgres:// address with a database name, or a secret',
        params: { hint: 'write it as postgres://user@host:5432/name or ${secret:database.url}' },
      })
      .optional()
      .describe(
        'A PostgreSQL server of your own, as `${secret:NAME}` or as the URL itself. Without it the embedded server is started.',
      )
      .meta({ pattern: '^(postgres(ql)?://|\\$\\{secret:)', secretReference: true }),
  })
  .prefault({})
  .describe('The database.');

const security = z
  .strictObject({
    issuer: httpOrigin()
      .optional()
      .describe('The `iss` of the tokens that are issued. Default: `server.external_url`.'),
    access_token_ttl_seconds: z
      .int()
      .min(60)
      .max(86_400)
      .default(3600)
      .describe('How long an access token lives at most, in seconds.'),
    authorization_code_ttl_seconds: z
      .int()
      .min(10)
      .max(60)
      .default(60)
      .describe('How long an authorization code can be exchanged for tokens, in seconds.'),
    device_code_ttl_seconds: z
      .int()
      .min(60)
      .max(1800)
      .default(600)
      .describe('How long the code that a device shows can be entered, in seconds.'),
    refresh_idle_seconds: z
      .int()
      .min(60)
      .max(31_536_000)
      .default(2_592_000)
      .describe('After how long without a refresh an app has to ask for a new sign-in, in seconds (30 days).'),
    refresh_absolute_seconds: z
      .int()
      .min(60)
      .max(31_536_000)
      .default(7_776_000)
      .describe('How long the sign-in of an app lasts at most, however often it is refreshed, in seconds (90 days).'),
    refresh_reuse_window_seconds: z
      .int()
      .min(0)
      .max(300)
      .default(30)
      .describe(
        'For how long the same refresh gets the same answer again, in seconds: several processes of an app may share a refresh token. 0: a second use ends the sign-in at once.',
      ),
    audiences: z
      .array(httpOrigin())
      .max(20)
      .default([])
      .describe(
        'Further addresses of the instance, beside `server.external_url`: requests may name them as their host, and tokens that are bound to them are accepted.',
      ),
    personal_access_tokens: z
      .strictObject({
        max_days: z
          .int()
          .min(1)
          .max(3650)
          .default(365)
          .describe('How long a personal access token is good at most, in days.'),
      })
      .prefault({})
      .describe('Tokens that people make for their own programs.'),
    proxies: proxiesField,
    federation: federationField,
    registration: registrationField,
    registration_limits: registrationLimitsField,
    client_documents: clientDocumentsField,
    workload_identity: workloadIdentityField,
  })
  .prefault({})
  .describe('Tokens.');

const ports = z
  .strictObject({
    mcp: portRange(5000, 5999, 'MCP servers'),
    agents: portRange(9000, 9999, 'agents'),
  })
  .prefault({})
  .describe('Ports on loopback for the processes behind the API. Instances on one machine need ranges of their own.');

const limits = z
  .strictObject({
    body_bytes: z
      .int()
      .min(1024)
      .max(256 * 1024 * 1024)
      .default(10 * 1024 * 1024)
      .describe('Largest request or answer of a tool call that is read, in bytes.'),
    call_timeout_ms: z
      .int()
      .min(100)
      .max(3_600_000)
      .default(120_000)
      .describe('How long a tool call may take, in milliseconds, unless the tool says otherwise.'),
    session_idle_s: z
      .int()
      .min(10)
      .max(30 * 24 * 3600)
      .default(3600)
      .describe(
        'After how long a session with an MCP server that nobody uses is ended, in seconds. A stream that is open is use.',
      ),
  })
  .prefault({})
  .describe('Bounds of what a caller can ask for.');

const audit = z
  .strictObject({
    retention_days: z
      .int()
      .min(1)
      .max(36_500)
      .optional()
      .describe(
        'For how many days tool calls and the audit of identity are kept. Then their rows are deleted, and their digests stay, so that the chain still verifies. Default: for ever.',
      ),
  })
  .prefault({})
  .describe('The audit of tool calls and of identity.');

const ownServices = z
  .strictObject({
    api: z.strictObject({ limits: serviceLimitsSchema }).prefault({}).describe('Each API process.'),
    database: z.strictObject({ limits: serviceLimitsSchema }).prefault({}).describe('The embedded database.'),
  })
  .prefault({})
  .describe('The processes of the system itself; those of MCP servers are in `services/mcp`.');

const paths = z
  .strictObject({
    services: z
      .string()
      .trim()
      .min(1)
      .max(1000)
      .refine((value) => !value.includes('\0'), 'must be a path')
      .default('services')
      .describe(
        'The folder of configuration as code. A path that is not absolute begins at the project’s folder. While there is no `services`, the folder that comes with the package holds; any other must be there.',
      ),
  })
  .prefault({})
  .describe('Where things lie that a profile decides on.');

const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'silent'] as const;

const ENVIRONMENTS = ['development', 'test', 'staging', 'production'] as const;

const runtime = z
  .strictObject({
    environment: z
      .enum(ENVIRONMENTS)
      .optional()
      .describe(
        'What this is run for. MCP servers get it as SYSTEMPROMPT_ENVIRONMENT and as NODE_ENV (`production` for `staging`), and `rate_limits.enabled` follows it. Default: `development`; `production` with `target: cloud`.',
      ),
    log_level: z.enum(LOG_LEVELS).default('info').describe('The least severe log line that is written.'),
    output_format: z
      .enum(['text', 'json'])
      .default('text')
      .describe('What commands print that are given neither `--json` nor SYSTEMPROMPT_OUTPUT_FORMAT.'),
    no_color: z.boolean().default(false).describe('Whether commands print without colours, as with `--no-color`.'),
    non_interactive: z
      .boolean()
      .default(false)
      .describe('Whether commands never ask, as with `--non-interactive`; `--interactive` has them ask all the same.'),
    apply_changes: z
      .enum(['automatic', 'manual'])
      .default('automatic')
      .describe(
        'Whether a running system follows its files by itself. `manual`: a change is checked and told, and waits for `infra services reconcile`.',
      ),
  })
  .prefault({})
  .describe('How the processes run.');

const logging = z
  .strictObject({
    max_file_mb: z
      .int()
      .min(1)
      .max(1024)
      .default(10)
      .describe('Size from which on the log of a run is rotated, in MB (1,048,576 bytes).'),
    max_files: z
      .int()
      .min(2)
      .max(100)
      .default(5)
      .describe('How many files of one run are kept: the one that is written to and the parts before it.'),
    database_days: z
      .int()
      .min(0)
      .max(365)
      .default(7)
      .describe(
        'How long the lines of MCP servers are kept in the database beside the files, in days; 0: they are not.',
      ),
  })
  .prefault({})
  .describe('The logs of the supervisor and of each run of a service. Of each service the last ten runs are kept.');

/** profile.yaml as it is written. Types, checks, JSON Schema and the reference in docs/configuration.md come from here. */
export const profileFileSchema = z
  .strictObject({
    name: z
      .string()
      .regex(profileNameForm, plainNameMessage)
      .optional()
      .describe('Name of the profile, the same as its folder. Default: that name.'),
    display_name: z
      .string()
      .trim()
      .min(1)
      .max(100)
      .optional()
      .describe('How `cloud profile list` and `show` call it. Default: its name.'),
    target: z
      .enum(['local', 'cloud'])
      .default('local')
      .describe(
        'Where the system of this profile runs: on a machine of yours, or in a container that others reach. `cloud` needs `server.external_url`, and listens on every interface and is `production` unless told otherwise.',
      ),
    tenant: z
      .string()
      .regex(profileNameForm, plainNameMessage)
      .default('local')
      .describe('The tenant whose data, secrets and database these settings are for; on a line of its own.'),
    server: serverSection,
    database,
    security,
    mail: mailSection,
    ports,
    limits,
    audit,
    rate_limits: rateLimitsSection,
    services: ownServices,
    paths,
    runtime,
    logging,
    telemetry: telemetrySection,
  })
  .describe('The settings of one environment of an instance (profile.yaml).');

export type ProfileFile = z.output<typeof profileFileSchema>;
