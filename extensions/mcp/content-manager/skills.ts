import { AppError, type ErrorCode, InternalError, PreconditionError } from 'systemprompt';
import type { RequestContext } from 'systemprompt/mcp';
import { z } from 'zod';

const skill = z.object({
  id: z.string(),
  name: z.string(),
  description: z.string(),
  instructions: z.string(),
  enabled: z.boolean(),
});
export type Skill = z.infer<typeof skill>;

const timeoutMs = 30_000;

class CommandFailedError extends AppError {
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, hint: string | undefined, next: readonly string[]) {
    super(message, { next, ...(hint === undefined ? {} : { hint }) });
    this.code = code;
  }
}

async function command(context: RequestContext, words: readonly string[]) {
  if (context.cli === undefined) {
    throw new PreconditionError('This server may not read skills for its callers', {
      hint: `Set delegate: true in services/mcp/ for ${context.server.name}`,
    });
  }
  const ended = await context.cli.run([...words, '--json', '--non-interactive'], { signal: context.signal, timeoutMs });
  if (ended.ok) return ended.artifact;
  const { code, message, hint, next } = ended.failure;
  throw new CommandFailedError(code as ErrorCode, message, hint, next);
}

/**
 * The skill that a tool works by.
 * @throws PreconditionError when it is not there, saying how to make it, or not offered
 */
export async function skillFor(context: RequestContext, id: string): Promise<Skill> {
  const shown = await command(context, ['core', 'skills', 'show', id]).catch((error: unknown) => {
    if (!(error instanceof CommandFailedError) || error.code !== 'NOT_FOUND') throw error;
    throw new PreconditionError(`There is no skill ${id}, which says how to do this`, {
      hint: 'Create it: with create_skill of the marketplace server, or on the command line',
      next: ['core skills create --help'],
      cause: error,
    });
  });
  const parsed = skill.safeParse(shown.type === 'presentation_card' ? shown.data : undefined);
  if (!parsed.success) throw new InternalError('The command answered with something else than a skill');
  if (!parsed.data.enabled)
    throw new PreconditionError(`The skill ${id} is not enabled`, {
      hint: 'Enable it first: with update_skill of the marketplace server, or on the command line',
    });
  return parsed.data;
}

/** Ids of the skills that are offered. */
export async function skillIds(context: RequestContext): Promise<string[]> {
  const table = await command(context, ['core', 'skills', 'list', '--enabled']);
  return table.type === 'table' ? table.items.map(({ id }) => String(id)) : [];
}
