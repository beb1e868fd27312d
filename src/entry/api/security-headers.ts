import type { SecurityHeaderSettings } from '../../lib/infra/config/profile-server.ts';

/**
 * The headers by which browsers protect whoever looks at an answer, the same for what the framework and what the MCP
 * router answers; by the names and values of `server.security_headers`.
 *
 * @param externalUrl where clients reach the API: without https browsers must ignore Strict-Transport-Security (RFC 6797
 *   section 8.1), and for `localhost` it would hold for every other program that is developed on that machine
 */
export function securityHeaders(
  settings: SecurityHeaderSettings,
  externalUrl: string,
): Readonly<Record<string, string>> {
  const { protocol, hostname } = new URL(externalUrl);
  const strict = protocol === 'https:' && !/^(?:localhost|127\.0\.0\.1|\[::1\])$/.test(hostname);
  if (!settings.enabled) return {};
  const hsts = [
    `max-age=${settings.hsts_max_age_seconds}`,
    ...(settings.hsts_include_subdomains ? ['includeSubDomains'] : []),
    ...(settings.hsts_preload ? ['preload'] : []),
  ];
  return {
    'x-content-type-options': 'nosniff',
    'content-security-policy': settings.content_security_policy,
    'referrer-policy': settings.referrer_policy,
    'x-frame-options': settings.frame_options,
    'permissions-policy': settings.permissions_policy,
    ...(strict ? { 'strict-transport-security': hsts.join('; ') } : {}),
  };
}
