import { NotFoundError } from '../../shared/errors.ts';
import { nearest } from '../../shared/nearest.ts';

// For the supervisor and for clients: light, since `infra services status` looks here too.

/** What can be chosen by its name or its kind. */
export interface Selectable {
  readonly name: string;
  readonly kind: string;
}

/**
 * The services that are meant by names or kinds (`api`, `mcp`), each once, in the order in which they are known. A name wins
 * over a kind.
 *
 * @param next the command to suggest with a name that is like an unknown one; to look at the status unless told
 * @throws NotFoundError with the nearest names
 */
export function selectServices<T extends Selectable>(
  wanted: readonly string[],
  known: readonly T[],
  next?: (like: string) => string,
): T[] {
  const chosen = new Set<T>();
  for (const word of wanted) {
    const named = known.filter(({ name }) => name === word);
    const found = named.length > 0 ? named : known.filter(({ kind }) => kind === word);
    if (found.length === 0) throw unknownService(word, known, next);
    for (const service of found) chosen.add(service);
  }
  return known.filter((service) => chosen.has(service));
}

/**
 * The names of those whose logs are meant; those of services that are no longer configured count too.
 * @throws NotFoundError with the nearest names
 */
export function selectLogs(wanted: readonly string[], names: readonly string[]): string[] {
  const known = names.map((name) => ({ name, kind: name.split(':')[0] ?? name }));
  return selectServices(wanted, known, (like) => `infra services logs ${like}`).map(({ name }) => name);
}

/** The error for a word that is neither name nor kind; who leaves out `mcp:` is understood. */
function unknownService(
  word: string,
  known: readonly Selectable[],
  next: ((like: string) => string) | undefined,
): NotFoundError {
  const names = known.map(({ name }) => name);
  const bare = names.filter((name) => nearest(word, [name.slice(name.indexOf(':') + 1)]).length > 0);
  const like = [...new Set([...nearest(word, [...names, ...known.map(({ kind }) => kind)]), ...bare])].slice(0, 3);
  return new NotFoundError(`There is no service ${word.slice(0, 80)}.`, {
    hint:
      like.length > 0 ? `Did you mean ${like.join(' or ')}?` : `There is: ${names.slice(0, 20).join(', ') || 'none'}.`,
    next: next === undefined || like.length === 0 ? ['infra services status'] : like.map(next),
    data: { name: word.slice(0, 80), nearest: like, services: names },
  });
}
