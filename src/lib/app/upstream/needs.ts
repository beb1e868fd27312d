import type { McpServerConfig, UpstreamAuthConfig } from '../../domain/mcp/index.ts';

type KeyAuth = UpstreamAuthConfig & { readonly type: 'key' };

/** What a server wants with its requests, beside the caller's rights. */
export interface UpstreamNeeds {
  /** A key for a server elsewhere. */
  readonly key?: KeyAuth;
  /** Variables for a process of the user's own. */
  readonly variables: readonly string[];
  /** Names of what each user brings; empty where all callers use the same. */
  readonly brought: readonly string[];
  /** Where it goes: what was brought for another place is not sent there. */
  readonly place: string;
}

/** Most bytes of everything that a user brings for one server: it goes in a header. */
const bytesMax = 8_192;

/** @returns undefined for a server that wants nothing */
export function needsOf(config: Pick<McpServerConfig, 'external' | 'process'>): UpstreamNeeds | undefined {
  const { external, process } = config;
  if (external !== undefined) {
    const { auth, endpoint } = external;
    // Tokens are nothing that anybody types in: see `oauth/`.
    if (auth.type !== 'key') return undefined;
    return {
      key: auth,
      variables: [],
      brought: auth.per === 'user' ? [auth.secret] : [],
      place: URL.parse(endpoint)?.origin ?? '',
    };
  }
  const variables = process?.instances === 'user' ? process.userVariables : [];
  return variables.length === 0 ? undefined : { variables, brought: variables, place: '' };
}

/** Why a value can't be used, if it can't; it is not quoted. */
export function refusedCredential(needs: UpstreamNeeds, value: string): string | undefined {
  const most = Math.floor(bytesMax / Math.max(1, needs.brought.length));
  if (value === '') return 'is empty';
  if (Buffer.byteLength(value) > most) return `is larger than ${most} bytes`;
  // RFC 9110, section 5.5: what a header may say.
  if (needs.key !== undefined && !/^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$/.test(value)) {
    return 'has characters that a header can’t have: a key is one line of ASCII';
  }
  return value.includes('\0') ? 'has a null character' : undefined;
}
