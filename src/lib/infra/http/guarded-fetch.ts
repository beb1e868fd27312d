import { type LookupAddress, lookup as systemLookup } from 'node:dns';
import { createServer } from 'node:http';
import { BlockList, isIP, type LookupFunction } from 'node:net';
import { Agent, fetch, type Response } from 'undici';

/** Networks that nobody's public document is in (IANA special-purpose registries, RFC 6890). */
const special = new BlockList();
for (const [network, prefix] of [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.31.196.0', 24],
  ['192.52.193.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['192.175.48.0', 24],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 4],
  ['240.0.0.0', 4],
] as const) {
  special.addSubnet(network, prefix, 'ipv4');
}
/** All of IPv6 that is given out to hosts lies in 2000::/3; of that, what leads elsewhere (6to4, Teredo, documentation). */
const global6 = new BlockList();
global6.addSubnet('2000::', 3, 'ipv6');
for (const [network, prefix] of [
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['2620:4f:8000::', 48],
  ['3fff::', 20],
] as const) {
  special.addSubnet(network, prefix, 'ipv6');
}

/** Whether an address is none of the public internet; one that can't be read is none. */
export function isSpecialAddress(address: string): boolean {
  const plain = address.split('%')[0] ?? address;
  if (isIP(plain) === 4) return special.check(plain, 'ipv4');
  return isIP(plain) !== 6 || !global6.check(plain, 'ipv6') || special.check(plain, 'ipv6');
}

/** Why something was not fetched. */
export class FetchRefusedError extends Error {
  override readonly name = 'FetchRefusedError';
}

/** How far a fetch may go. */
export interface FetchBounds {
  /** Largest body, in bytes. */
  readonly maxBytes: number;
  /** For everything, from the look-up of the name to the last byte, in ms. */
  readonly timeoutMs: number;
  /** Also http, and addresses that are not public: for what an admin has configured. */
  readonly privateNetwork?: boolean;
  readonly headers?: Readonly<Record<string, string>>;
  /** What is posted; without it the document is fetched. */
  readonly body?: string;
}

export interface FetchedDocument {
  readonly status: number;
  readonly headers: { get(name: string): string | null };
  readonly body: Buffer;
}

export type GuardedFetch = (url: string, bounds: FetchBounds) => Promise<FetchedDocument>;

type Lookup = typeof systemLookup;

/** How long a connection may take to be made, in ms. */
const connectTimeoutMs = 5000;

/**
 * Connections to one address that an admin has configured, for as long as they are needed: the same guard as
 * {@link createGuardedFetch}, for who speaks to the same place again and again. Requests have no clock of their own.
 * @throws FetchRefusedError for an address that is never connected to
 */
export function createGuardedAgent(address: URL, privateNetwork: boolean, lookup: Lookup = systemLookup): Agent {
  checkAddress(address, privateNetwork);
  return new Agent({
    connect: { lookup: privateNetwork ? lookup : publicLookup(lookup), timeout: connectTimeoutMs },
    headersTimeout: 0,
    bodyTimeout: 0,
    allowH2: false,
  });
}

/**
 * A fetch for addresses that strangers name. A name is looked up once, and only an address that was checked is ever
 * connected to: a name that changes its mind (DNS rebinding) gains nothing, and no byte reaches what is not public.
 * Redirects are not followed, bodies are cut off, and nothing that identifies us or our caller is sent.
 */
export function createGuardedFetch(lookup: Lookup = systemLookup): GuardedFetch {
  const agents = new Map<boolean, Agent>();
  const agentFor = (privateNetwork: boolean): Agent => {
    let agent = agents.get(privateNetwork);
    if (agent === undefined) {
      agent = new Agent({
        connect: { lookup: privateNetwork ? lookup : publicLookup(lookup), timeout: connectTimeoutMs },
        keepAliveTimeout: 1,
      });
      agents.set(privateNetwork, agent);
    }
    return agent;
  };
  return async (address, bounds) => {
    const url = new URL(address);
    const privateNetwork = bounds.privateNetwork === true;
    checkAddress(url, privateNetwork);
    // Agent and fetch of one library: Node's own fetch is of another version, and takes no agents of this one.
    const response = await fetch(url, {
      ...(bounds.body === undefined ? { method: 'GET' } : { method: 'POST', body: bounds.body }),
      redirect: 'manual',
      headers: { accept: 'application/json', 'user-agent': '', ...bounds.headers },
      signal: AbortSignal.timeout(bounds.timeoutMs),
      dispatcher: agentFor(privateNetwork),
    });
    return { status: response.status, headers: response.headers, body: await readBounded(response, bounds.maxBytes) };
  };
}

/**
 * Whether the guard holds in this process, tried on sockets of our own: a fetch that gets through would reach any service
 * of this machine.
 */
export async function guardHolds(guarded: GuardedFetch = createGuardedFetch()): Promise<boolean> {
  let reached = 0;
  const sink = createServer((_request, response) => response.end('{}'));
  sink.on('connection', () => {
    reached += 1;
  });
  await new Promise<void>((listening) => sink.listen(0, '127.0.0.1', listening));
  try {
    const place = sink.address();
    const port = typeof place === 'object' && place !== null ? place.port : 0;
    const bounds = { maxBytes: 1024, timeoutMs: 2000 };
    const addresses = [
      `https://127.0.0.1:${port}/`,
      `https://localhost:${port}/`,
      `https://[::ffff:127.0.0.1]:${port}/`,
    ];
    const through = await Promise.all(
      addresses.map((address) =>
        guarded(address, bounds).then(
          () => true,
          (error: unknown) => !refusedBy(error),
        ),
      ),
    );
    return reached === 0 && !through.includes(true);
  } finally {
    sink.closeAllConnections();
    await new Promise((closed) => sink.close(closed));
  }
}

function refusedBy(error: unknown): boolean {
  return error instanceof FetchRefusedError || (error instanceof Error && refusedBy(error.cause));
}

/** What no look-up would see: another scheme, credentials, and addresses written as such. */
function checkAddress(url: URL, privateNetwork: boolean): void {
  if (url.protocol !== 'https:' && !(privateNetwork && url.protocol === 'http:')) {
    throw new FetchRefusedError('Only https is fetched');
  }
  if (url.username !== '' || url.password !== '') throw new FetchRefusedError('An address has no credentials');
  const host = url.hostname.replace(/^\[|\]$/g, '');
  if (!privateNetwork && isIP(host) !== 0 && isSpecialAddress(host)) {
    throw new FetchRefusedError('The address is not a public one');
  }
}

function publicLookup(lookup: Lookup): LookupFunction {
  return (hostname, options, done) => {
    lookup(hostname, { ...options, all: true }, (error, found) => {
      if (error !== null) return done(error, '', 0);
      const addresses = found as LookupAddress[];
      const [first] = addresses;
      // One that is not public among them is no accident.
      if (first === undefined || addresses.some(({ address }) => isSpecialAddress(address))) {
        return done(new FetchRefusedError('The name leads to an address that is not public'), '', 0);
      }
      if (options.all === true) return done(null, addresses);
      return done(null, first.address, first.family);
    });
  };
}

async function readBounded(response: Response, maxBytes: number): Promise<Buffer> {
  const tooLarge = new FetchRefusedError(`The document is larger than ${maxBytes} bytes`);
  if (Number(response.headers.get('content-length') ?? 0) > maxBytes) {
    await response.body?.cancel();
    throw tooLarge;
  }
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of response.body ?? []) {
    size += chunk.length;
    if (size > maxBytes) throw tooLarge; // leaving the loop cancels the rest
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
