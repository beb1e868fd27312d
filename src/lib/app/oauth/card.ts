import { kindField } from '../../domain/auth/index.ts';

/** What people are told of a client. All of it was chosen by whoever made the client: escape it. */
export interface ClientCard {
  readonly id: string;
  readonly name: string;
  /** The host that vouches for it: of a client that is a document, where that is. */
  readonly host: string | undefined;
  readonly kind: 'builtin' | 'registered' | 'dynamic' | 'document' | 'service';
  /** Where the answer goes. */
  readonly redirectHost: string;
  /** Whether it runs on the user's own machine, where any program can pose as it. */
  readonly loopbackOnly: boolean;
}

const loopback = new Set(['localhost', '127.0.0.1', '[::1]']);
const kinds = new Set(['builtin', 'registered', 'dynamic', 'service']);

/** @param redirectUri that of the request; the first registered one where there is none, as on a device */
export function cardOf(
  client: {
    readonly clientId: string;
    readonly clientName?: string | undefined;
    readonly redirectUris?: readonly string[] | undefined;
  },
  redirectUri?: string,
): ClientCard {
  const { clientId: id, redirectUris = [] } = client;
  const document = id.startsWith('https://') && URL.canParse(id);
  const said = (client as Record<string, unknown>)[kindField];
  const kind = document ? 'document' : kinds.has(String(said)) ? (said as ClientCard['kind']) : 'dynamic';
  return {
    id,
    name: client.clientName ?? id,
    host: document ? new URL(id).host : undefined,
    kind,
    redirectHost: hostOf(redirectUri ?? redirectUris[0]),
    loopbackOnly: isLoopbackOnly(redirectUris),
  };
}

/** Whether every address that answers go to is on the user's own machine. */
export function isLoopbackOnly(redirectUris: readonly string[]): boolean {
  return redirectUris.length > 0 && redirectUris.every((uri) => loopback.has(URL.parse(uri)?.hostname ?? ''));
}

/** Of an app's own scheme that, since it has no host. */
function hostOf(uri: string | undefined): string {
  const url = uri === undefined ? null : URL.parse(uri);
  if (url === null) return '';
  return url.protocol === 'https:' || url.protocol === 'http:' ? url.host : url.protocol;
}
