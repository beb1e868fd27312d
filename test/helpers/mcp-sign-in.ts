import type {
  DpopSession,
  OAuthClientMetadata,
  OAuthClientProvider,
  OAuthDiscoveryState,
  StoredOAuthClientInformation,
  StoredOAuthTokens,
} from '@modelcontextprotocol/client';
import { freePort } from './free-port.ts';
import type { Person } from './person.ts';

export interface ClientWish {
  /** Address of the document that describes it; without one it registers itself. */
  readonly documentUrl?: string;
  /** Scopes that its user ticks beside those that are ticked. */
  readonly ticks?: readonly string[];
  readonly dpop?: DpopSession;
}

/**
 * What a host gives an official MCP client for its sign-in: a place to keep things, and a user with a browser. It knows
 * nothing of the server; what it has at the end the client has found out by itself.
 */
export class SignIn implements OAuthClientProvider {
  readonly redirectUrl: string;
  readonly clientMetadata: OAuthClientMetadata;
  readonly clientMetadataUrl?: string;
  readonly dpop?: () => DpopSession;
  /** Where the user was sent, each time. */
  readonly visits: URL[] = [];
  /** How often the client has registered itself. */
  registrations = 0;
  client: StoredOAuthClientInformation | undefined;
  kept: StoredOAuthTokens | undefined;
  readonly #person: Person;
  readonly #ticks: readonly string[];
  #verifier = '';
  #answer: Promise<URL> | undefined;
  #discovery: OAuthDiscoveryState | undefined;

  private constructor(person: Person, port: number, { documentUrl, ticks = [], dpop }: ClientWish) {
    this.#person = person;
    this.#ticks = ticks;
    this.redirectUrl = `http://localhost:${port}/callback`;
    this.clientMetadata = {
      client_name: 'A client',
      redirect_uris: [this.redirectUrl],
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
      token_endpoint_auth_method: 'none',
    };
    if (documentUrl !== undefined) this.clientMetadataUrl = documentUrl;
    if (dpop !== undefined) this.dpop = () => dpop;
  }

  static async of(person: Person, wish: ClientWish = {}): Promise<SignIn> {
    return new SignIn(person, await freePort(), wish);
  }

  clientInformation = () => this.client;
  saveClientInformation = (client: StoredOAuthClientInformation) => {
    this.registrations += 1;
    this.client = client;
  };
  tokens = () => this.kept;
  saveTokens = (tokens: StoredOAuthTokens) => {
    this.kept = tokens;
  };
  codeVerifier = () => this.#verifier;
  saveCodeVerifier = (verifier: string) => {
    this.#verifier = verifier;
  };
  state = () => 'a state';
  discoveryState = () => this.#discovery;
  saveDiscoveryState = (state: OAuthDiscoveryState) => {
    this.#discovery = state;
  };
  redirectToAuthorization = (address: URL) => {
    this.visits.push(address);
    this.#answer = this.#person.allow(address, this.#ticks);
    this.#answer.catch(() => {}); // whoever waits for it is told
  };

  /** What the browser brought to the client's own address after the last visit. */
  async answer(): Promise<URLSearchParams> {
    const url = await this.#answer;
    if (url === undefined) throw new Error('The user was not sent anywhere');
    if (url.origin + url.pathname !== this.redirectUrl) throw new Error(`The browser was sent to ${url.href}`);
    if (url.searchParams.get('state') !== 'a state') throw new Error('The state is not ours');
    return url.searchParams;
  }
}
