/** What a server elsewhere says with 401 or 403 (RFC 6750 section 3, RFC 9728 section 5.1). */
export interface Challenge {
  /** Where its metadata is. */
  readonly metadata?: string;
  readonly scopes?: readonly string[];
  readonly error?: string;
}

const longest = 8_192;
const mostScopes = 50;
/** RFC 6749, appendix A.4. */
const scopeForm = /^[\x21\x23-\x5b\x5d-\x7e]{1,200}$/;

/** Reads the Bearer challenge of a `WWW-Authenticate`; what can't be read is not there. */
export function readChallenge(header: string | null | undefined): Challenge {
  if (header === null || header === undefined || header.length > longest) return {};
  const [, parameters] = /(?:^|[\s,])bearer\s+(.*)$/is.exec(header) ?? [];
  if (parameters === undefined) return {};
  const found = new Map<string, string>();
  // auth-param = token BWS "=" BWS ( token / quoted-string ), RFC 9110 section 11.2.
  for (const [, name, quoted, token] of parameters.matchAll(
    /([a-z0-9_-]{1,40})\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s",]+))/gi,
  )) {
    const key = (name ?? '').toLowerCase();
    if (!found.has(key)) found.set(key, token ?? (quoted ?? '').replace(/\\(.)/g, '$1'));
  }
  const metadata = found.get('resource_metadata');
  const error = found.get('error');
  const scopes = scopesOf(found.get('scope'));
  return {
    ...(metadata === undefined ? {} : { metadata }),
    ...(error === undefined ? {} : { error }),
    ...(scopes.length === 0 ? {} : { scopes }),
  };
}

/** Scopes of a text, each once; what is none is left out. */
export function scopesOf(text: string | undefined): string[] {
  const named = (text ?? '').split(' ').filter((scope) => scopeForm.test(scope));
  return [...new Set(named)].slice(0, mostScopes);
}
