/**
 * The metadata document (RFC 8414, OpenID Connect Discovery 1.0), exact: what is not offered is not in it. The scopes of
 * resources stand in their own documents (RFC 9728), where clients look for them.
 */
export function discovered(document: Record<string, unknown>): Record<string, unknown> {
  return { ...document, response_modes_supported: ['query'] };
}
