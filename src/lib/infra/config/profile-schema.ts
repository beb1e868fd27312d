import { z } from 'zod';
import { serviceLimitsSchema } from './limits-schema.ts';
import { secretReference } from './secret-reference.ts';

const port = z.int().min(1).max(65_535);
const listeningPort = z.int().min(1024).max(65_535);

function portRange(low: number, high: number, what: string) {
  return z
    .tuple([listeningPort, listeningPort])
    .refine(([from, to]) => from <= to, {
      error: 'must begin with the lower port',
      params: { hint: `write it as [${low}, ${high}]` },
    })
    .default([low, high])
    .describe(`First and last port that ${what} may listen on, both included.`);
}

function httpOrigin(what: string) {
  return (
    z
      .string()
      .refine(isHttpBase, {
        error: 'must be an http or https address without path, query, user or trailing slash',
        params: { hint: 'write it as https://host or http://host:port' },
      })
      .optional()
      .describe(what)
      // For editors: a refinement says nothing in JSON Schema.
      .meta({ pattern: '^https?://[^/?#@\\s]+$' })
  );
}

function isHttpBase(value: string): boolean {
  if (!URL.canParse(value)) return false;
  const url = new URL(value);
  return (url.protocol === 'http:' || url.protocol === 'https:') && url.origin === value;
}

function isDatabaseUrl(value: string): boolean {
  if (secretReference(value) !== undefined) return true;
  if (!URL.canParse(value)) return false;
  const { protocol, pathname } = new URL(value);
  return (protocol === 'postgres:' || protocol === 'postgresql:') && pathname.length > 1;
}

const server = z
  .strictObject({
    host: z
      .string()
      .regex(/^[A-Za-z0-9.:_-]{1,253}$/, 'must be a host name or an IP address')
      .default('localhost')
      .describe(
        'Name or address that the API listens on. `localhost` means 127.0.0.1 and ::1; `0.0.0.0` every interface.',
      ),
    port: port.default(8080).describe('TCP port of the API.'),
    external_url: httpOrigin(
      'The address under which clients reach the API; tokens are bound to it. Default: `http://localhost:<port>`.',
    ),
    workers: z.int().min(1).max(64).default(1).describe('How many API processes run side by side.'),
  })
  .prefault({})
  .describe('The API server.');

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
      .meta({ pattern: '^(postgres(ql)?://|\\$\\{secret:)' }),
  })
  .prefault({})
  .describe('The database.');

const security = z
  .strictObject({
    issuer: httpOrigin('The `iss` of the tokens that are issued. Default: `server.external_url`.'),
    access_token_ttl_seconds: z
      .int()
      .min(60)
      .max(86_400)
      .default(3600)
      .describe('How long an access token lives at most, in seconds.'),
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
  })
  .prefault({})
  .describe('Bounds of what a caller can ask for.');

const ownServices = z
  .strictObject({
    api: z.strictObject({ limits: serviceLimitsSchema }).prefault({}).describe('Each API process.'),
    database: z.strictObject({ limits: serviceLimitsSchema }).prefault({}).describe('The embedded database.'),
  })
  .prefault({})
  .describe('The processes of the system itself; those of MCP servers are in `services/mcp`.');

const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'silent'] as const;

const runtime = z
  .strictObject({
    log_level: z.enum(LOG_LEVELS).default('info').describe('The least severe log line that is written.'),
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
  })
  .prefault({})
  .describe('The logs of the supervisor and of each run of a service. Of each service the last ten runs are kept.');

/** profile.yaml as it is written. Types, checks, JSON Schema and the reference in docs/configuration.md come from here. */
export const profileFileSchema = z
  .strictObject({
    name: z
      .string()
      .regex(/^[a-z0-9][a-z0-9-]{0,49}$/, 'must have lower-case letters, digits and dashes only, at most 50')
      .optional()
      .describe('Name of the profile, the same as its folder. Default: that name.'),
    tenant: z
      .string()
      .regex(/^[a-z0-9][a-z0-9-]{0,49}$/, 'must have lower-case letters, digits and dashes only, at most 50')
      .default('local')
      .describe('The tenant whose data, secrets and database these settings are for; on a line of its own.'),
    server,
    database,
    security,
    ports,
    limits,
    services: ownServices,
    runtime,
    logging,
  })
  .describe('The settings of one environment of an instance (profile.yaml).');

export type ProfileFile = z.output<typeof profileFileSchema>;
