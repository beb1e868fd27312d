import type { ManagedService } from './managed-service.ts';
import type { ServicesResult } from './status.ts';

/**
 * Restarts the services of one order: those behind a shared port one at a time, so that there is never more than one
 * process too many, and no further once one of them has failed.
 */
export class RollingTurns {
  readonly #turns = new Map<number, Promise<void>>();
  readonly #broken = new Map<number, string>();
  readonly #failed = new Set<string>();
  readonly #lines: Record<string, readonly string[]> = {};

  /** Resolves when the service is ready again, or has failed, or was left as it is. */
  restart(service: ManagedService): Promise<void> {
    const { port } = service.spec;
    if (port?.shared === undefined) return this.#restart(service);
    const { preferred } = port;
    const turn = (this.#turns.get(preferred) ?? Promise.resolve()).then(async () => {
      const culprit = this.#broken.get(preferred);
      if (culprit === undefined) await this.#restart(service);
      else this.#leave(service, culprit);
      if (this.#failed.has(service.name) || service.state !== 'ready') this.#broken.set(preferred, service.name);
    });
    this.#turns.set(preferred, turn);
    return turn;
  }

  /** The result of the order, with those whose successor failed among the failed. */
  report(result: ServicesResult): ServicesResult {
    const failed = [...new Set([...result.failed, ...this.#failed])];
    return { ...result, failed, ...(Object.keys(this.#lines).length === 0 ? {} : { lines: this.#lines }) };
  }

  async #restart(service: ManagedService): Promise<void> {
    const failure = await service.restart();
    if (failure === undefined) return;
    this.#failed.add(service.name);
    if (failure.lines.length > 0) this.#lines[service.name] = failure.lines;
  }

  #leave(service: ManagedService, culprit: string): void {
    this.#failed.add(service.name);
    service.leave(`it was not restarted, since ${culprit} failed to`);
  }
}

/**
 * The result with those named that another order came for meanwhile: they have not failed by themselves, and their last
 * lines say nothing of it.
 */
export function withOvertaken(result: ServicesResult, overtaken: (name: string) => boolean): ServicesResult {
  const names = result.failed.filter(overtaken);
  if (names.length === 0) return result;
  const { lines = {}, ...rest } = result;
  const left = Object.entries(lines).filter(([name]) => !names.includes(name));
  return { ...rest, overtaken: names, ...(left.length === 0 ? {} : { lines: Object.fromEntries(left) }) };
}
