import { round } from './load.ts';

export interface Step {
  readonly step: string;
  /** Microseconds, the mean of many, one after another. */
  readonly us: number;
  /** Of that, CPU time of this process: what other load does not change. */
  readonly cpuUs: number;
}

/** Does something many times, one after another, after a tenth as many to warm up. */
export async function time(step: string, times: number, work: () => unknown): Promise<Step> {
  for (let index = 0; index < times / 10; index += 1) await work();
  const before = process.cpuUsage();
  const started = performance.now();
  for (let index = 0; index < times; index += 1) await work();
  const us = ((performance.now() - started) / times) * 1_000;
  const { user, system } = process.cpuUsage(before);
  return { step, us: round(us, 1), cpuUs: round((user + system) / times, 1) };
}
