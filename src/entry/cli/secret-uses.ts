import type { CommandContext } from '../../lib/app/command-context.ts';
import { type SecretUse, secretUses, usersOf } from '../../lib/app/secrets/uses.ts';
import { ConfigInvalidError } from '../../lib/shared/errors.ts';

/** The uses of secrets as the files have them now; undefined while they are invalid: then nobody can say. */
export async function usesInFiles(context: CommandContext): Promise<readonly SecretUse[] | undefined> {
  try {
    return secretUses(await context.mcpServers(), await context.profile());
  } catch (error) {
    if (error instanceof ConfigInvalidError) return undefined;
    throw error;
  }
}

/** Who uses the secrets of these names, each once. */
export async function usersInFiles(context: CommandContext, kept: readonly string[]): Promise<string[]> {
  const uses = await usesInFiles(context);
  if (uses === undefined) return [];
  const names = new Set([...(await (await context.secrets()).names()), ...kept]);
  return [...new Set(kept.flatMap((name) => usersOf(name, uses, names)))];
}
