import { setTimeout as delay } from 'node:timers/promises';
import { markOf } from '../../infra/process/marker.ts';
import { holdersOf, isPortFree, type PortHolder } from '../../infra/process/ports.ts';
import type { ServiceSpec } from '../../infra/process/spec.ts';

/** How the machine is asked about a port. */
export interface PortLookup {
  isFree(port: number): Promise<boolean>;
  /** Who listens, a stranger where there are several; nobody seen is `undefined`. */
  holder(port: number): Promise<PortHolder | undefined>;
  /** Whether a process carries the mark of our installation. */
  isOurs(pid: number): Promise<boolean>;
}

export interface HeldPort {
  readonly holder: PortHolder;
  /** The holder is a process of our own installation. */
  readonly ours: boolean;
}

const pollMs = 50;
/** Looks at a port that a process of ours is to leave grow further apart up to this, in ms. */
const pollMaxMs = 400;
/** A holder without a process may be one that ends just now; for that long another look is worth it, in ms. */
const unseenMs = 300;

/**
 * The lookup of this machine, for one installation.
 * @param options.loopback only who listens where a loopback address leads counts as a holder
 */
function machinePorts(installationId: string, { loopback = false } = {}): PortLookup {
  const isOurs = async (pid: number) => (await markOf(pid))?.installationId === installationId;
  return {
    isFree: isPortFree,
    isOurs,
    holder: async (port) => {
      const holders = await holdersOf(port, loopback);
      for (const holder of holders) if (holder.pid === undefined || !(await isOurs(holder.pid))) return holder;
      return holders[0];
    },
  };
}

/**
 * The lookup for a service's port. Unless it says otherwise it listens on loopback: whoever has the same port on another
 * address alone is not in its way.
 */
export function portsOf({ shared }: NonNullable<ServiceSpec['port']>, installationId: string): PortLookup {
  return machinePorts(installationId, shared ?? { loopback: true });
}

/**
 * Who holds a port, `undefined` when it is free. A stranger is told at once, be it another user's process, of which
 * nothing but its user can be seen; a process of ours is given time to leave.
 * @param options.waitMs how long a process of ours may take to leave
 */
export async function whoHolds(
  port: number,
  lookup: PortLookup,
  options: { readonly waitMs: number; readonly signal?: AbortSignal },
): Promise<HeldPort | undefined> {
  const since = performance.now();
  for (let pause = pollMs; ; pause = Math.min(pollMaxMs, pause * 1.5)) {
    if (await lookup.isFree(port)) return undefined;
    const holder = (await lookup.holder(port)) ?? { port };
    const ours = holder.pid !== undefined && (await lookup.isOurs(holder.pid));
    const patience = ours ? options.waitMs : isStranger(holder) ? 0 : unseenMs;
    if (performance.now() - since >= patience) return { holder, ours };
    const rest = Math.max(1, patience - (performance.now() - since));
    await delay(Math.min(pause, rest), undefined, options.signal === undefined ? {} : { signal: options.signal });
  }
}

/**
 * The stranger among those who listen on a port that processes of ours may share; `undefined` when there is none. Looks
 * without binding: a socket that is bound for a test would keep a process of ours from it just then.
 */
export async function strangerOn(
  port: number,
  lookup: Pick<PortLookup, 'holder' | 'isOurs'>,
): Promise<PortHolder | undefined> {
  const since = performance.now();
  for (;;) {
    const holder = await lookup.holder(port);
    if (holder === undefined || (holder.pid !== undefined && (await lookup.isOurs(holder.pid)))) return undefined;
    if (isStranger(holder) || performance.now() - since >= unseenMs) return holder;
    await delay(pollMs);
  }
}

/** Not ours by what is seen of it: asked only of a holder that does not carry our mark. */
function isStranger({ pid, uid }: PortHolder): boolean {
  return pid !== undefined || (uid !== undefined && uid !== process.getuid?.());
}
