import { InternalError, PreconditionError } from '../../lib/shared/errors.ts';
import type { DeclaredVariables } from '../../lib/shared/mcp/context.ts';

/**
 * What the configuration declares for the server, by name; the rest of the environment is not to be had here.
 * @param server its name, for errors
 */
export function declaredVariables(
  names: ReadonlySet<string>,
  env: NodeJS.ProcessEnv,
  server: string,
): DeclaredVariables {
  const value = (name: string): string | undefined => (env[name] === '' ? undefined : env[name]);
  return {
    get(name) {
      if (names.has(name)) return value(name);
      throw new InternalError(
        `The variable ${name} is not declared under variables: or env: of ${server} in services/mcp/`,
      );
    },
    require(name) {
      const found = names.has(name) ? value(name) : undefined;
      if (found !== undefined) return found;
      const declare = names.has(name) ? '' : `declare it under variables: of ${server} in services/mcp/, then `;
      throw new PreconditionError(`${name}, which ${server} needs, is not set`, {
        hint: `Whoever runs this instance has to set it: ${declare}run systemprompt cloud secrets set ${name}`,
        data: { missing: name },
      });
    },
  };
}
