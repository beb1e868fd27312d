import { z } from 'zod';
import { type ControlRoute, checkedInput } from '../../lib/app/supervisor/control.ts';
import { NotFoundError } from '../../lib/shared/errors.ts';

/** The sign-in's operations, by name alone: what is behind them is loaded when the first one is called. */
const known = [
  ['POST', '/v1/session/login'],
  ['POST', '/v1/session/logout'],
  ['POST', '/v1/session/owner-link'],
  ['POST', '/v1/actor'],
  ['POST', '/v1/keys/rotate'],
  ['GET', '/v1/jwks'],
] as const;

/** Routes that cost nothing until they are used: tokens and keys need modules that a supervisor mostly does without. */
export function lazyRoutes(load: () => Promise<readonly ControlRoute[]>): ControlRoute[] {
  let loaded: Promise<readonly ControlRoute[]> | undefined;
  return known.map(([method, path]) => ({
    method,
    path,
    input: z.unknown(),
    async handle(input: unknown): Promise<unknown> {
      loaded ??= load();
      const route = (await loaded).find((candidate) => candidate.method === method && candidate.path === path);
      if (route === undefined) throw new NotFoundError(`The control API has no ${method} ${path}.`);
      return route.handle(checkedInput(route.input, input));
    },
  }));
}
