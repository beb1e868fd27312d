import type { ResourceUse } from '../../infra/process/resource-sampler.ts';
import type { ResourceLimits } from '../../infra/process/spec.ts';
import type { ServiceResources } from './status.ts';

/** One sample over the limit may be a moment's peak that is about to be collected. */
const samplesOver = 2;
const mebibyte = 1024 * 1024;

/** What the present run of a service takes up, and whether that is too much. */
export class ResourceRecord {
  readonly #limits: () => ResourceLimits | undefined;
  #use: ResourceUse | undefined;
  #over = 0;

  /** @param limits those in force: a configuration that is followed live may change them */
  constructor(limits: () => ResourceLimits | undefined) {
    this.#limits = limits;
  }

  /** Another run begins. */
  begin(): void {
    this.#use = undefined;
    this.#over = 0;
  }

  /** @returns why the run has to go, once: at the second sample running over its limit of memory */
  sampled(use: ResourceUse): string | undefined {
    this.#use = use;
    const limit = this.#limits()?.memoryBytes;
    if (limit === undefined || use.rssBytes <= limit) {
      this.#over = 0;
      return undefined;
    }
    this.#over += 1;
    if (this.#over !== samplesOver) return undefined;
    return `memory ${Math.round(use.rssBytes / mebibyte)} MB over its limit of ${Math.round(limit / mebibyte)} MB`;
  }

  status(): ServiceResources | undefined {
    if (this.#use === undefined) return undefined;
    const limits = this.#limits();
    return { ...this.#use, ...(limits === undefined ? {} : { limits }) };
  }
}
