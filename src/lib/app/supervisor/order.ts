import type { ServiceSpec } from '../../infra/process/spec.ts';
import { PreconditionError } from '../../shared/errors.ts';

type Node = Pick<ServiceSpec, 'name' | 'dependsOn'>;

/**
 * Checks that every dependency is there and that none goes round in a circle.
 * @throws PreconditionError naming the services
 */
export function checkDependencies(specs: readonly Node[]): void {
  const byName = new Map(specs.map((spec) => [spec.name, spec]));
  for (const spec of specs) {
    const missing = spec.dependsOn.find((name) => !byName.has(name));
    if (missing !== undefined)
      throw new PreconditionError(`${spec.name} depends on ${missing}, which is not configured`);
  }
  const open = new Set<string>();
  const done = new Set<string>();
  const visit = (name: string, path: readonly string[]): void => {
    if (done.has(name)) return;
    if (open.has(name)) throw new PreconditionError(`services depend on each other: ${[...path, name].join(' → ')}`);
    open.add(name);
    for (const next of byName.get(name)?.dependsOn ?? []) visit(next, [...path, name]);
    open.delete(name);
    done.add(name);
  };
  for (const spec of specs) visit(spec.name, []);
}

/**
 * Runs `work` for each service once `work` has ended for all that it depends on (or, reversed, for all that depend on it);
 * at most `parallel` at a time. Work that rejects does not hold the others up; the first error is thrown at the end.
 */
export async function inOrder<T extends Node>(
  nodes: readonly T[],
  options: { readonly parallel: number; readonly reversed?: boolean },
  work: (node: T) => Promise<void>,
): Promise<void> {
  const names = new Set(nodes.map((node) => node.name));
  const before = (node: T): string[] =>
    options.reversed === true
      ? nodes.filter((other) => other.dependsOn.includes(node.name)).map((other) => other.name)
      : node.dependsOn.filter((name) => names.has(name));
  const done = new Set<string>();
  const waiting = new Set(nodes);
  const errors: unknown[] = [];
  await new Promise<void>((resolve) => {
    let running = 0;
    const advance = (): void => {
      if (waiting.size === 0 && running === 0) resolve();
      for (const node of waiting) {
        if (running >= options.parallel) return;
        if (!before(node).every((name) => done.has(name))) continue;
        waiting.delete(node);
        running += 1;
        work(node)
          .catch((error: unknown) => errors.push(error))
          .finally(() => {
            running -= 1;
            done.add(node.name);
            advance();
          });
      }
    };
    advance();
  });
  if (errors.length > 0) throw errors[0];
}
