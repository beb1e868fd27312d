import type { CatalogueTool } from '../../domain/mcp/index.ts';
import { ForbiddenError } from '../../shared/errors.ts';

const reasons = {
  new: 'has not been approved yet',
  changed: 'was changed since it was approved',
  finding: 'says something that looks like instructions to a model, and was not approved',
  invalid: 'is not a valid tool',
} as const;

/** Why a tool that is held may not be called. */
export function heldError(server: string, tool: string, known: CatalogueTool | undefined): ForbiddenError {
  const reason = known?.state === 'gone' ? undefined : (known?.reason ?? 'new');
  const why = reason === undefined ? 'is not among the tools that the server lists' : reasons[reason];
  return new ForbiddenError(`The tool ${tool.slice(0, 200)} of ${server} ${why}`, {
    hint: 'An admin can look at it and approve it.',
    next: [`plugins mcp tools ${server} --diff`],
    data: { reason: 'held', held: reason ?? 'gone', server, tool: tool.slice(0, 200) },
  });
}

/** Why a form of a tool may not be called that is not even on record. */
export function crowdedError(server: string, tool: string): ForbiddenError {
  const name = tool.slice(0, 200);
  return new ForbiddenError(`The tool ${name} of ${server} has too many forms among its users: yours is not taken`, {
    hint: 'A server should describe a tool to all its users in the same words. Its forms end when no list has them.',
    next: [`plugins mcp tools ${server}`],
    data: { reason: 'held', held: 'forms', server, tool: name },
  });
}
