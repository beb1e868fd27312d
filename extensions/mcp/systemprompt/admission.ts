import { covers, ForbiddenError, PreconditionError } from 'systemprompt';
import type { CliCommand, ToolContext } from 'systemprompt/mcp';
import { positionals } from './resolve.ts';

/** A destructive command asks for this tier, whatever it declares. */
const destructivePermission = 'admin';
/** The command that calls a tool of an MCP server, named first among its arguments. */
const toolCall = 'plugins mcp call';

export interface Asked {
  readonly command: CliCommand;
  readonly words: readonly string[];
  readonly confirm: boolean;
}

/** The permission that a command really takes. */
export function requiredPermission(command: CliCommand): string {
  return command.declaration.effect === 'destructive' ? destructivePermission : command.declaration.permission;
}

/**
 * Decides whether the caller may run the command through the tool.
 * @throws ForbiddenError naming what is missing; PreconditionError when a destructive command was not confirmed
 */
export function admit({ command, words, confirm }: Asked, context: ToolContext): void {
  const { name, declaration } = command;
  if (declaration.localOnly === true) {
    throw new ForbiddenError(`${name} runs on the machine itself only, not through this tool`, {
      hint: 'It signs in, starts or stops what this tool itself stands on; ask somebody with a shell on that machine',
    });
  }
  const permission = requiredPermission(command);
  const { scopes } = context.request;
  if (!covers(scopes, permission)) {
    throw new ForbiddenError(`${name} needs the permission '${permission}'`, {
      hint: `This sign-in holds: ${scopes.join(', ') || 'nothing'}`,
    });
  }
  if (name === toolCall && positionals(command, words)[0] === context.server.name) {
    throw new ForbiddenError(`${name} ${context.server.name} would call this tool from within itself`, {
      hint: 'Give the inner command to this tool directly',
    });
  }
  if (declaration.effect === 'destructive' && !confirm) {
    throw new PreconditionError(`${name} can't be undone and was not confirmed`, {
      hint: 'Make sure that it is wanted, then call again with confirm: true',
    });
  }
}
