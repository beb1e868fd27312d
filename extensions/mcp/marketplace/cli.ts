import { AppError, type Artifact, type ErrorCode, PreconditionError } from 'systemprompt';
import type { CliFailure, ToolContext } from 'systemprompt/mcp';

const timeoutMs = 60_000;

/** A command that failed, as the CLI worded it. */
class CommandFailedError extends AppError {
  readonly code: ErrorCode;

  constructor({ code, message, hint, next }: CliFailure) {
    super(message, { next, ...(hint === undefined ? {} : { hint }) });
    this.code = code as ErrorCode;
  }
}

/**
 * Runs a command of the product in the caller's name and returns what it said.
 * @throws PreconditionError when the configuration lets this server act for nobody; what the command failed with
 */
export async function run(context: ToolContext, words: readonly string[]): Promise<Artifact> {
  if (context.cli === undefined) {
    throw new PreconditionError('This server may not run commands for its callers', {
      hint: `Set delegate: true in services/mcp/ for ${context.server.name}`,
    });
  }
  // Flags of the tool's own go first: a text of the caller's stands behind `=` or `--`, and is never taken for a flag.
  const ended = await context.cli.run([...words, '--json', '--non-interactive'], { signal: context.signal, timeoutMs });
  if (!ended.ok) throw new CommandFailedError(ended.failure);
  return ended.artifact;
}
