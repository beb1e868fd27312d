/** Header of a POST to the control socket: from when on it must not be begun any more, as {@link machineMs}. */
export const untilHeader = 'x-systemprompt-until';

/**
 * The monotonic clock of the machine in ms. Unlike performance.now() it is the same for all processes, so that one can
 * compare what another wrote; unlike the time of day nobody sets it.
 */
export function machineMs(): number {
  return Number(process.hrtime.bigint() / 1_000_000n);
}
