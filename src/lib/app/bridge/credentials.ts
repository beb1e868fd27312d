import { UsageError } from '../../shared/errors.ts';
import { isRecord } from '../router/jsonrpc.ts';
import { readChallenge } from '../upstream/oauth/challenge.ts';
import type { UpstreamCredentials } from './backend.ts';

/** In it the API hands the secrets of a user or of an upstream to the bridge, on loopback only. */
export const credentialsHeaderName = 'x-systemprompt-upstream';

/** In it the bridge tells the API that a server elsewhere took a secret for none (`401`), or wants more (`403` and scopes). */
export const refusedHeaderName = 'x-systemprompt-upstream-refused';

/** What the API is told of a refusal: of the challenge nothing but scopes. */
export function refusalText(status: number, challenge: string | undefined): string {
  const { scopes = [] } = status === 403 ? readChallenge(challenge) : {};
  return [String(status), ...scopes].join(' ').slice(0, 2_000);
}

/** The header's value: base64url of JSON. */
export function encodeCredentials(credentials: Partial<UpstreamCredentials>): string {
  return Buffer.from(JSON.stringify(credentials)).toString('base64url');
}

/** @throws UsageError when there is a header that says something else; its content is not quoted */
export function readCredentials(header: string | readonly string[] | undefined): UpstreamCredentials | undefined {
  if (header === undefined) return undefined;
  const value = typeof header === 'string' ? parse(header) : undefined;
  if (!isRecord(value)) throw malformed();
  const { key } = value;
  if (key !== undefined && typeof key !== 'string') throw malformed();
  return { headers: texts(value['headers']), variables: texts(value['variables']), key };
}

function texts(value: unknown): Readonly<Record<string, string>> {
  if (value === undefined) return {};
  if (!isRecord(value) || !Object.values(value).every((item) => typeof item === 'string')) throw malformed();
  return value as Readonly<Record<string, string>>;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(Buffer.from(text, 'base64url').toString('utf8'));
  } catch {
    return undefined; // refused by the caller
  }
}

function malformed(): UsageError {
  return new UsageError(`The header ${credentialsHeaderName} can't be read.`);
}
