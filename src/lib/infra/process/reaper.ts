import { readFileSync, readlinkSync } from 'node:fs';
import { basename } from 'node:path';

/**
 * Why processes that lose their parent stay behind as zombies here, in words for the operator; `undefined` where process
 * 1 reaps them. Node.js waits for its own children only: as process 1 it never collects those that the kernel gives it
 * (wait(2)). They do no harm but for their line in the process table, and count as dead everywhere in this program.
 */
export function missingReaper(): string | undefined {
  if (process.platform !== 'linux') return undefined;
  const who = process.pid === 1 ? 'This process is' : isNode() ? 'Node.js is' : undefined;
  if (who === undefined) return undefined;
  return `${who} process 1 and does not reap orphaned processes: they stay as zombies, which count as dead. Run the container with an init: docker run --init, or tini before the command`;
}

function isNode(): boolean {
  try {
    return basename(readlinkSync('/proc/1/exe')) === 'node';
  } catch {
    // Another user's process shows its name only.
    return nameOfFirst() === 'node';
  }
}

function nameOfFirst(): string | undefined {
  try {
    return readFileSync('/proc/1/comm', 'utf8').trim();
  } catch {
    return undefined; // /proc is not mounted, or hides it
  }
}
