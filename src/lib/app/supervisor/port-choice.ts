import { setTimeout as delay } from 'node:timers/promises';
import { markOf } from '../../infra/process/marker.ts';
import { freePort, holderOf, isPortFree, type PortHolder } from '../../infra/process/ports.ts';
import type { ServiceSpec } from '../../infra/process/spec.ts';
import { PortTakenError } from '../../shared/errors.ts';

const pollMs = 50;

/**
 * The port for the next run of a service: the preferred one, else (when it may move) the next free one of its range. Waits
 * while a process of ours that is on its way out holds it; a stranger is named and left alone.
 * @param reserved ports that other services have been given and may not have bound yet
 * @throws PortTakenError naming holder, pid and command
 */
async function choosePort(
  spec: Pick<ServiceSpec, 'name' | 'kind' | 'port'>,
  options: {
    readonly installationId: string;
    readonly reserved: ReadonlySet<number>;
    readonly waitMs: number;
    readonly signal: AbortSignal;
  },
): Promise<number | undefined> {
  const { port } = spec;
  if (port === undefined) return undefined;
  const { preferred, range } = port;
  const mine = !options.reserved.has(preferred);
  if (mine && (await isPortFree(preferred))) return preferred;
  if (range !== undefined) {
    const found = await freePort(range, options.reserved);
    if (found !== undefined) return found;
    throw new PortTakenError(`No port is free for ${spec.name} between ${range[0]} and ${range[1]}.`, {
      hint: 'Widen the range in the profile.',
      data: { service: spec.name, range },
    });
  }
  const holder = await waitForOurs(preferred, options);
  if (holder === undefined) return preferred;
  throw portTaken(spec, holder);
}

/** Who still holds the port after those of ours that were leaving have left; `undefined` when it is free. */
async function waitForOurs(
  port: number,
  options: { readonly installationId: string; readonly waitMs: number; readonly signal: AbortSignal },
): Promise<PortHolder | undefined> {
  const deadline = performance.now() + options.waitMs;
  for (;;) {
    if (await isPortFree(port)) return undefined;
    const holder = (await holderOf(port)) ?? { port };
    const ours = holder.pid !== undefined && (await markOf(holder.pid))?.installationId === options.installationId;
    // Nobody seen is a holder that has just left, or one that we may not look at: worth the same short wait.
    if ((holder.pid !== undefined && !ours) || performance.now() >= deadline) return holder;
    await delay(pollMs, undefined, { signal: options.signal });
  }
}

/** The error for a port that a stranger holds. */
export function portTaken(spec: Pick<ServiceSpec, 'name' | 'kind'>, holder: PortHolder): PortTakenError {
  const who =
    holder.pid === undefined
      ? "another user's process"
      : `process ${holder.pid}${holder.command === undefined ? '' : ` (${holder.command})`}`;
  return new PortTakenError(`Port ${holder.port} of ${spec.name} is taken by ${who}.`, {
    hint:
      spec.kind === 'api'
        ? 'End that process yourself, or choose another port with --port.'
        : 'End that process yourself, or configure another port.',
    ...(spec.kind === 'api' ? { next: [`infra services start --port ${holder.port + 1}`] } : {}),
    data: {
      service: spec.name,
      port: holder.port,
      ...(holder.pid === undefined ? {} : { pid: holder.pid }),
      ...(holder.command === undefined ? {} : { command: holder.command }),
    },
  });
}

/** The ports that services of this supervisor have been given, and may not have bound yet. */
export class PortClaims {
  readonly #options: { readonly installationId: string; readonly waitMs: number };
  readonly #claims = new Map<string, number>();
  #claiming: Promise<unknown> = Promise.resolve();

  constructor(options: { readonly installationId: string; readonly waitMs: number }) {
    this.#options = options;
  }

  /**
   * Chooses a port and keeps it for the service. One choice at a time: two services must not find the same port free.
   * @throws PortTakenError
   */
  claim(spec: Pick<ServiceSpec, 'name' | 'kind' | 'port'>, signal: AbortSignal): Promise<number | undefined> {
    const claim = this.#claiming.then(async () => {
      const others = [...this.#claims].filter(([name]) => name !== spec.name);
      const reserved = new Set(others.map(([, port]) => port));
      const port = await choosePort(spec, { ...this.#options, reserved, signal });
      this.reserve(spec.name, port);
      return port;
    });
    this.#claiming = claim.catch(() => undefined); // the claimant is told; the next one goes on
    return claim;
  }

  /** Keeps the port of a service that has it already. */
  reserve(name: string, port: number | undefined): void {
    if (port !== undefined) this.#claims.set(name, port);
  }

  release(name: string): void {
    this.#claims.delete(name);
  }
}
