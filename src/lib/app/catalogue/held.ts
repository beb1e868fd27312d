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
