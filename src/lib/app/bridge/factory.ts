import type { KnownSecrets } from '../../infra/logging/known-secrets.ts';
import type { Logger } from '../../infra/logging/logger.ts';
import { StartRefusedError } from '../server-environment.ts';
import type { BackendFactory } from './backend.ts';
import type { HttpChildFactory } from './http-child.ts';
import type { BridgeSettings } from './settings.ts';
import { StdioFactory } from './stdio-backend.ts';

export interface FactoryOptions {
  readonly settings: BridgeSettings;
  /** Environment of programs. */
  readonly childEnv: Readonly<Record<string, string>>;
  readonly version: string;
  readonly maxMessageBytes: number;
  /** An identity header of the bridge's own, for a server that verifies it. */
  readonly ownIdentity: () => string;
  readonly logger: Logger;
  readonly secrets: KnownSecrets;
}

// Each kind is loaded only where it is made: an HTTP client takes memory that a program on standard streams has no use for.

/** How a bridge makes instances of its server, and keeps them. */
export interface Making {
  readonly factory: BackendFactory;
  /** Set for a program that is started with the bridge and not on demand. */
  readonly resident?: HttpChildFactory;
  readonly instances: 'shared' | 'session' | 'user';
  readonly idleStopMs: number;
  /** Whether the server behind keeps sessions that outlive its instances here. */
  readonly sessionsElsewhere?: boolean;
}

/** Less than the supervisor gives the bridge itself, in ms. */
const stopGraceMs = 3_000;

/** How long a server elsewhere may take to say what it is, and how long what is known of it for one user is kept, in ms. */
const endpointTimeoutMs = 15_000;
const ownIdleMs = 900_000;

/** @throws StartRefusedError when the settings lack what their kind needs */
export async function makeFactory(options: FactoryOptions): Promise<Making> {
  const { settings, childEnv, version, maxMessageBytes, logger, secrets } = options;
  const { kind, command, process } = settings;
  if (kind === 'external' && settings.external !== undefined) return await external(options, settings.external);
  if (kind === 'external' || command === undefined || process === undefined) {
    throw new StartRefusedError(`SYSTEMPROMPT_BRIDGE says nothing that a server of kind ${kind} could be run from`);
  }
  const program = { ...command, env: childEnv, startTimeoutMs: process.startTimeoutMs, stopGraceMs, maxMessageBytes };
  if (kind === 'stdio') {
    const factory = new StdioFactory({ ...program, version, logger, secrets });
    return { factory, instances: process.instances, idleStopMs: process.idleStopMs };
  }
  const { HttpChildFactory } = await import('./http-child.ts');
  const factory = new HttpChildFactory({ ...program, ownIdentity: options.ownIdentity, logger, secrets });
  return { factory, resident: factory, instances: 'shared', idleStopMs: 0 };
}

/** What users sign in to for themselves is opened for each of them: what one may not, another may. */
async function external(
  { version, maxMessageBytes }: FactoryOptions,
  settings: NonNullable<BridgeSettings['external']>,
): Promise<Making> {
  const { ExternalFactory } = await import('./external/factory.ts');
  const { endpoint, transport, privateNetwork, auth } = settings;
  const factory = new ExternalFactory({
    endpoint,
    transport,
    privateNetwork,
    maxMessageBytes,
    startTimeoutMs: endpointTimeoutMs,
    version,
  });
  const own = auth.type !== 'none' && auth.per === 'user';
  return { factory, instances: own ? 'user' : 'shared', idleStopMs: own ? ownIdleMs : 0, sessionsElsewhere: true };
}
