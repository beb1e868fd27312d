import { setTimeout as delay } from 'node:timers/promises';
import { markOf } from '../../infra/process/marker.ts';
import { holderOf, isPortFree, type PortHolder } from '../../infra/process/ports.ts';

/** How the machine is asked about a port. */
export interface PortLookup {
  isFree(port: number): Promise<boolean>;
  /** Who listens; nobody seen is `undefined`. */
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
/** A holder without a process may be one that ends just now; for that long another look is worth it, in ms. */
const unseenMs = 300;

/** The lookup of this machine, for one installation. */
export function machinePorts(installationId: string): PortLookup {
  return {
    isFree: isPortFree,
    holder: holderOf,
    isOurs: async (pid) => (await markOf(pid))?.installationId === installationId,
  };
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
  for (;;) {
    if (await lookup.isFree(port)) return undefined;
    const holder = (await lookup.holder(port)) ?? { port };
    const ours = holder.pid !== undefined && (await lookup.isOurs(holder.pid));
    const patience = ours ? options.waitMs : isStranger(holder) ? 0 : unseenMs;
    if (performance.now() - since >= patience) return { holder, ours };
    await delay(pollMs, undefined, options.signal === undefined ? {} : { signal: options.signal });
  }
}

/** Not ours by what is seen of it: asked only of a holder that does not carry our mark. */
function isStranger({ pid, uid }: PortHolder): boolean {
  return pid !== undefined || (uid !== undefined && uid !== process.getuid?.());
}
