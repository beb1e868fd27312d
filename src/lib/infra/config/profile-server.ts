import { isIP } from 'node:net';
import { z } from 'zod';
import { headerValue, httpOrigin } from './profile-fields.ts';

const pemFile = (what: string) =>
  z
    .string()
    .min(1)
    .max(1000)
    .optional()
    .describe(`${what}, as PEM. A path that is not absolute begins at the profile's folder.`);

const https = z
  .strictObject({
    certificate: pemFile('File with the certificate and those between it and its authority'),
    key: pemFile('File with its private key, which only its owner (this user or root) and a group may read'),
  })
  .prefault({})
  .describe('Answer by https. Both files or none; a renewed pair is read within a minute, without a restart.');

const securityHeaders = z
  .strictObject({
    enabled: z.boolean().default(true).describe('Whether answers carry the headers below at all.'),
    content_security_policy: headerValue()
      .default("default-src 'none';frame-ancestors 'none'")
      .describe('`Content-Security-Policy`: what a browser may load for an answer that it shows as a page.'),
    frame_options: z
      .enum(['DENY', 'SAMEORIGIN'])
      .default('DENY')
      .describe('`X-Frame-Options`: whether other pages may show an answer in a frame.'),
    referrer_policy: z
      .enum([
        'no-referrer',
        'same-origin',
        'strict-origin',
        'strict-origin-when-cross-origin',
        'origin',
        'origin-when-cross-origin',
        'no-referrer-when-downgrade',
      ])
      .default('no-referrer')
      .describe('`Referrer-Policy`: what of an address a browser tells the next one.'),
    permissions_policy: headerValue()
      .default('camera=(), microphone=(), geolocation=()')
      .describe('`Permissions-Policy`: what a page may use of the machine.'),
    hsts_max_age_seconds: z
      .int()
      .min(0)
      .max(63_072_000)
      .default(31_536_000)
      .describe(
        '`Strict-Transport-Security`, when clients reach the API by https: how long browsers insist on it. 0 takes it back.',
      ),
    hsts_include_subdomains: z.boolean().default(true).describe('Whether that holds for names below this one as well.'),
    hsts_preload: z
      .boolean()
      .default(false)
      .describe('Whether the name may go on the list that browsers ship, which is hard to undo.'),
  })
  .prefault({})
  .describe('Headers by which browsers protect whoever looks at an answer.');

export type SecurityHeaderSettings = z.output<typeof securityHeaders>;

function isNetwork(value: string): boolean {
  const [address = '', prefix, ...rest] = value.split('/');
  const family = isIP(address);
  if (family === 0 || rest.length > 0) return false;
  return prefix === undefined || (/^\d{1,3}$/.test(prefix) && Number(prefix) <= (family === 4 ? 32 : 128));
}

/** Section `server` of the profile. */
export const serverSection = z
  .strictObject({
    host: z
      .string()
      .regex(/^[A-Za-z0-9.:_-]{1,253}$/, 'must be a host name or an IP address')
      .optional()
      .describe(
        'Name or address that the API listens on. `localhost` means 127.0.0.1 and ::1; `0.0.0.0` every interface. Default: `localhost`; `0.0.0.0` with `target: cloud`.',
      ),
    port: z.int().min(1).max(65_535).default(8080).describe('TCP port of the API.'),
    external_url: httpOrigin()
      .optional()
      .describe(
        'The address under which clients reach the API; tokens are bound to it. Default: `http://localhost:<port>`, with `https` set `https://localhost:<port>`; with `target: cloud` there is none.',
      ),
    workers: z.int().min(1).max(64).default(1).describe('How many API processes run side by side.'),
    cors_allowed_origins: z
      .array(httpOrigin())
      .max(100)
      .default([])
      .describe(
        'Origins of other sites whose pages may call the API, `http://localhost:5173` say. Each by name: there is no `*`, since the check of Origin is what keeps other pages out.',
      ),
    https,
    trusted_proxies: z
      .array(z.string().refine(isNetwork, { error: 'must be an IP address, or a network such as 10.0.0.0/8' }))
      .max(100)
      .default([])
      .describe(
        'Addresses and networks of proxies in front of the API: what they say in `X-Forwarded-For` is believed when callers without a token are told apart.',
      ),
    security_headers: securityHeaders,
  })
  .prefault({})
  .describe('The API server.');
