import type { Configuration } from 'openid-client';
import { z } from 'zod';
import { ApiUnavailableError, PreconditionError, UsageError } from '../../shared/errors.ts';
import { isLoopback } from '../../shared/loopback.ts';
import { instanceAudience, resourceMetadataUrl } from '../identity.ts';

/** What helps with an instance that can't be signed in to. */
export const help = ['cloud auth login --help'];

/** Our own public client, which every instance knows: what is installed everywhere keeps no secret. */
export const cliClientId = 'systemprompt-cli';
const timeoutSeconds = 15;
const maxDocumentBytes = 64 * 1024;

/** An instance, and who signs people in there. */
export interface InstanceServer {
  /** Where the instance is. */
  readonly origin: string;
  /** What a token for it is good for. */
  readonly resource: string;
  /** What may be asked for without a second thought. */
  readonly scopes: readonly string[];
  readonly issuer: string;
  readonly jwksUri: string;
  readonly config: Configuration;
}

const metadataSchema = z.object({
  resource: z.string(),
  authorization_servers: z.array(z.string()).min(1),
  scopes_supported: z.array(z.string()).default([]),
});

/**
 * The origin of an instance, as people write it.
 * @throws UsageError for what is none, and for plain http to another machine: tokens would be read on the way
 */
export function instanceOrigin(address: string): string {
  const hint = 'Write it as https://prompt.example.com; http is for this machine alone';
  const shown = address.slice(0, 200);
  if (!URL.canParse(address)) throw new UsageError(`${shown} is no address`, { hint });
  const url = new URL(address);
  const bare =
    url.pathname === '/' && url.search === '' && url.hash === '' && url.username === '' && url.password === '';
  if ((url.protocol !== 'https:' && url.protocol !== 'http:') || !bare) {
    throw new UsageError('The address of an instance is scheme, host and port, and nothing else', { hint });
  }
  if (!isSafe(url)) throw new UsageError(`${url.origin} would be spoken to in clear text`, { hint });
  return url.origin;
}

/** Whether nobody on the way can read what is sent there. */
function isSafe({ protocol, hostname }: URL): boolean {
  return protocol === 'https:' || isLoopback(hostname);
}

/**
 * Finds out who signs people in at an instance (RFC 9728, RFC 8414).
 * @throws ApiUnavailableError when nobody answers; PreconditionError when it is no instance, or says what does not fit
 */
export async function discoverInstance(origin: string): Promise<InstanceServer> {
  const resource = instanceAudience(origin);
  const metadata = await protectedResource(origin, resource);
  if (metadata.resource !== resource) {
    throw new PreconditionError(`The instance at ${origin} has another address: ${metadata.resource.slice(0, 200)}`, {
      hint: 'Sign in at the address that it was given (server.external_url of its profile): tokens are bound to it.',
      data: { resource: metadata.resource.slice(0, 200) },
      next: help,
    });
  }
  const [issuer = ''] = metadata.authorization_servers;
  return { origin, resource, scopes: metadata.scopes_supported, ...(await authorizationServer(issuer, origin)) };
}

async function protectedResource(origin: string, resource: string): Promise<z.infer<typeof metadataSchema>> {
  const response = await fetch(resourceMetadataUrl(resource), {
    headers: { accept: 'application/json' },
    redirect: 'error',
    signal: AbortSignal.timeout(timeoutSeconds * 1000),
  }).catch((cause: unknown) => {
    throw unavailable(origin, cause);
  });
  const text = (await response.text().catch(() => '')).slice(0, maxDocumentBytes);
  if (response.status >= 500) throw unavailable(origin, new Error(`status ${response.status}`));
  const checked = metadataSchema.safeParse(response.ok ? asJson(text) : undefined);
  if (checked.success) return checked.data;
  throw new PreconditionError(`There is no systemprompt instance at ${origin}`, {
    hint: 'Look at the address; with a proxy in front, it has to pass on /.well-known/.',
    data: { status: response.status },
    next: help,
  });
}

/** @throws as {@link discoverInstance} */
export async function authorizationServer(
  issuer: string,
  origin: string,
): Promise<Pick<InstanceServer, 'issuer' | 'jwksUri' | 'config'>> {
  if (!URL.canParse(issuer) || !isSafe(new URL(issuer))) {
    throw new PreconditionError(
      `The instance at ${origin} names no authorization server that can be spoken to safely`,
      {
        data: { issuer: issuer.slice(0, 200) },
        next: help,
      },
    );
  }
  const { allowInsecureRequests, discovery, None } = await import('openid-client');
  const insecure = new URL(issuer).protocol === 'http:';
  const config = await discovery(new URL(issuer), cliClientId, {}, None(), {
    algorithm: 'oauth2',
    timeout: timeoutSeconds,
    ...(insecure ? { execute: [allowInsecureRequests] } : {}),
  }).catch((cause: unknown) => {
    throw unavailable(issuer, cause);
  });
  const found = config.serverMetadata();
  // Exactly, also where URLs that differ would be the same (RFC 8414 section 3.3).
  const { jwks_uri: jwksUri } = found;
  const endpoints = [found.authorization_endpoint, found.token_endpoint, jwksUri];
  if (found.issuer === issuer && jwksUri !== undefined && endpoints.every((one) => one !== undefined && isAt(one))) {
    return { issuer, jwksUri, config };
  }
  throw new PreconditionError(`What ${issuer} says about itself does not fit`, {
    hint: 'Its issuer and its endpoints have to be its own, by https.',
    next: help,
  });
}

function isAt(endpoint: string): boolean {
  return URL.canParse(endpoint) && isSafe(new URL(endpoint));
}

function asJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

export function unavailable(where: string, cause: unknown): ApiUnavailableError {
  return new ApiUnavailableError(`${where} does not answer`, {
    hint: 'See whether it runs, and whether this machine reaches it.',
    next: help,
    cause,
  });
}
