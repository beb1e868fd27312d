import type { KnownSecrets } from '../../infra/logging/known-secrets.ts';
import type { Logger } from '../../infra/logging/logger.ts';
import { StartRefusedError } from '../server-environment.ts';
import type { BackendFactory } from './backend.ts';
import { HttpChildFactory } from './http-child.ts';
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

/** How a bridge makes instances of its server, and keeps them. */
export interface Making {
  readonly factory: BackendFactory;
  /** Set for a program that is started with the bridge and not on demand. */
  readonly resident?: HttpChildFactory;
  readonly instances: 'shared' | 'session' | 'user';
  readonly idleStopMs: number;
}

/** Less than the supervisor gives the bridge itself, in ms. */
const stopGraceMs = 3_000;

/** @throws StartRefusedError when the settings lack what their kind needs */
export function makeFactory(options: FactoryOptions): Making {
  const { settings, childEnv, version, maxMessageBytes, logger, secrets } = options;
  const { kind, command, process } = settings;
  if (kind === 'external' || command === undefined || process === undefined) {
    throw new StartRefusedError(`SYSTEMPROMPT_BRIDGE says nothing that a server of kind ${kind} could be run from`);
  }
  const program = { ...command, env: childEnv, startTimeoutMs: process.startTimeoutMs, stopGraceMs, maxMessageBytes };
  if (kind === 'stdio') {
    const factory = new StdioFactory({ ...program, version, logger, secrets });
    return { factory, instances: process.instances, idleStopMs: process.idleStopMs };
  }
  const factory = new HttpChildFactory({ ...program, ownIdentity: options.ownIdentity, logger, secrets });
  return { factory, resident: factory, instances: 'shared', idleStopMs: 0 };
}
