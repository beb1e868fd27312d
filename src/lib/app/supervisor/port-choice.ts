import { freePort, isPortFree, type PortHolder } from '../../infra/process/ports.ts';
import type { ServiceSpec } from '../../infra/process/spec.ts';
import { PortTakenError } from '../../shared/errors.ts';
import { portsOf, strangerOn, whoHolds } from './port-holder.ts';

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
  const { preferred, range, shared } = port;
  if (shared !== undefined) {
    const stranger = await strangerOn(preferred, portsOf(port, options.installationId));
    if (stranger !== undefined) throw portTaken(spec, stranger);
    return preferred;
  }
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
  const held = await whoHolds(preferred, portsOf(port, options.installationId), options);
  if (held === undefined) return preferred;
  throw portTaken(spec, held.holder);
}

/** A holder of a port, to be named to people. */
export function holderInWords({ pid, uid, command }: PortHolder): string {
  if (pid !== undefined) return `process ${pid}${command === undefined ? '' : ` (${command})`}`;
  return `a process of another user${uid === undefined ? '' : ` (uid ${uid})`}, which can't be named from here`;
}

/** The error for a port that a stranger holds. */
export function portTaken(spec: Pick<ServiceSpec, 'name' | 'kind'>, holder: PortHolder): PortTakenError {
  const end =
    holder.pid === undefined ? 'Have that user (or the administrator) end the process' : 'End that process yourself';
  return new PortTakenError(`Port ${holder.port} of ${spec.name} is taken by ${holderInWords(holder)}.`, {
    hint: spec.kind === 'api' ? `${end}, or choose another port with --port.` : `${end}, or configure another port.`,
    ...(spec.kind === 'api' ? { next: [`infra services start --port ${holder.port + 1}`] } : {}),
    data: {
      service: spec.name,
      port: holder.port,
      ...(holder.pid === undefined ? {} : { pid: holder.pid }),
      ...(holder.pid !== undefined || holder.uid === undefined ? {} : { uid: holder.uid }),
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

  /** Gives back the port of a run that is over; the service may have been given another one since. */
  release(name: string, port: number | undefined): void {
    if (this.#claims.get(name) === port) this.#claims.delete(name);
  }
}
