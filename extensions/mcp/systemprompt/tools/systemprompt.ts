import { AppError, type Artifact, artifactSchema, type ErrorCode, PreconditionError } from 'systemprompt';
import {
  artifactView,
  type CliFailure,
  type CliPort,
  defineTool,
  type ToolContext,
  type ToolDefinition,
} from 'systemprompt/mcp';
import { z } from 'zod';
import { admit, requiredPermission } from '../admission.ts';
import { wordsOf } from '../command-line.ts';
import type { Pages } from '../pages.ts';
import { resolveRequest } from '../resolve.ts';

const defaultTimeoutMs = 60_000;
const maxTimeoutMs = 600_000;
const defaultLimitBytes = 32_768;
const maxLimitBytes = 1_048_576;

const input = z
  .strictObject({
    args: z
      .array(z.string())
      .optional()
      .describe('The command line word by word, without the program: ["infra","services","status"]'),
    command: z
      .string()
      .optional()
      .describe('The same as one string; quotes group words, there is no shell: "infra services status"'),
    confirm: z.boolean().optional().describe('Must be true for a destructive command, after the user agreed to it'),
    timeout_ms: z
      .int()
      .min(1_000)
      .max(maxTimeoutMs)
      .optional()
      .describe(`The command is stopped after so many milliseconds (${defaultTimeoutMs} by default)`),
    cursor: z
      .string()
      .max(200)
      .optional()
      .describe(
        'next_cursor of an earlier answer when it begins with "page:", to read on in the same result; then neither args nor command. Any other next_cursor is the command\'s own: call the command again with --cursor and it',
      ),
    limit_bytes: z
      .int()
      .min(1_024)
      .max(maxLimitBytes)
      .optional()
      .describe(
        `Longest answer in bytes of JSON (${defaultLimitBytes} by default); what is over comes with next_cursor`,
      ),
  })
  .refine((given) => [given.args, given.command, given.cursor].filter((one) => one !== undefined).length === 1, {
    message: 'Give exactly one of args, command and cursor',
  });

const description = `Administers this systemprompt instance: runs one command of its CLI in the caller's name and returns the result.
The tool 'commands' tells which commands there are and what they take; start there. Examples: "infra services status",
"admin audit list --limit 20", "plugins mcp list", "help agents". A destructive command needs the admin permission and confirm: true.`;

/** A command that failed, as the CLI worded it. */
class CommandFailedError extends AppError {
  readonly code: ErrorCode;

  constructor({ code, message, hint, next }: CliFailure) {
    super(message, { next, ...(hint === undefined ? {} : { hint }) });
    this.code = code as ErrorCode;
  }
}

export function systempromptTool(pages: Pages): ToolDefinition {
  return defineTool({
    name: 'systemprompt',
    title: 'Run a systemprompt command',
    description,
    input,
    output: artifactSchema,
    ui: artifactView,
    // What it does depends on the command, and the worst of them counts; it reaches other servers by `plugins mcp call`.
    annotations: { readOnlyHint: false, destructiveHint: true, idempotentHint: false, openWorldHint: true },
    async handler(given, context) {
      const limitBytes = given.limit_bytes ?? defaultLimitBytes;
      const reader = { userId: context.request.user.id, scopes: context.request.scopes };
      if (given.cursor !== undefined) return pages.next(given.cursor, limitBytes, reader);
      const { artifact, permission } = await run(given, context);
      return pages.first(artifact, limitBytes, reader, permission);
    },
  });
}

interface Outcome {
  readonly artifact: Artifact;
  /** What it takes to see the result again. */
  readonly permission: string;
}

async function run(given: z.infer<typeof input>, context: ToolContext): Promise<Outcome> {
  const cli = cliOf(context);
  const request = resolveRequest(wordsOf(given), await cli.manifest());
  const options = { signal: context.signal, timeoutMs: given.timeout_ms ?? defaultTimeoutMs };
  if (request.kind === 'help') {
    return { artifact: await result(cli, [...request.subject, '--help', '--json'], options), permission: 'anonymous' };
  }
  if (request.kind === 'help-topic') {
    return { artifact: await result(cli, ['help', request.name, '--json'], options), permission: 'anonymous' };
  }
  const { command, words } = request;
  const confirm = given.confirm === true;
  admit({ command, words, confirm }, context);
  const yes = confirm && command.flags.some((flag) => flag.name === 'yes') ? ['--yes'] : [];
  const line = [...command.name.split(' '), '--json', '--non-interactive', ...yes, ...words];
  return { artifact: await result(cli, line, options), permission: requiredPermission(command) };
}

async function result(
  cli: CliPort,
  line: readonly string[],
  options: { readonly signal: AbortSignal; readonly timeoutMs: number },
): Promise<Artifact> {
  const ended = await cli.run(line, options);
  if (!ended.ok) throw new CommandFailedError(ended.failure);
  if (ended.lines.length === 0) return ended.artifact;
  // A command that streams prints its facts line by line; the artifact at the end only closes the stream.
  const content = ended.lines.map((line) => JSON.stringify(line)).join('\n');
  return { type: 'text', content, data: { end: ended.artifact } };
}

/** @throws PreconditionError when the configuration does not let this server act for its callers */
export function cliOf(context: ToolContext): CliPort {
  if (context.cli !== undefined) return context.cli;
  throw new PreconditionError('This server may not run commands for its callers', {
    hint: `Set delegate: true in services/mcp/ for ${context.server.name}`,
  });
}
