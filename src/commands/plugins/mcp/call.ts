import { string } from '@oclif/core/args';
import { string as option } from '@oclif/core/flags';
import { BaseCommand } from '../../../entry/cli/base-command.ts';
import { duration, longestWait } from '../../../entry/cli/flags.ts';
import { Interrupts } from '../../../entry/cli/interrupt.ts';
import { ProgressLine } from '../../../entry/cli/live/progress-line.ts';
import { readTextFile } from '../../../entry/cli/read-input.ts';
import type { CallProgress } from '../../../lib/app/mcp-client.ts';
import type { Artifact } from '../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../lib/shared/command.ts';
import { CancelledError, UsageError } from '../../../lib/shared/errors.ts';
import { harmless } from '../../../lib/shared/text/width.ts';

export default class McpCall extends BaseCommand<typeof McpCall> {
  static override summary = 'Call a tool of an MCP server';
  static override description =
    'Goes the way of every client: by HTTP through the API, with a token for that server, permitted and audited. How far ' +
    'it is shows at a terminal, and as lines of JSON with --json; what the server asks is asked at a terminal.';
  static override examples = [
    `<%= config.bin %> plugins mcp call systemprompt systemprompt --args '{"args":["infra","services","status"]}'`,
    '<%= config.bin %> plugins mcp call systemprompt systemprompt --args @call.json',
    `<%= config.bin %> plugins mcp call systemprompt systemprompt --arg 'args=["doctor"]'`,
    '<%= config.bin %> plugins mcp call systemprompt systemprompt --arg args=infra --arg args=services --arg args=status',
  ];
  static override declaration: CommandDeclaration = {
    effect: 'write',
    permission: 'user',
    needs: 'api',
    localOnly: true,
  };
  static override args = {
    server: string({ required: true, ignoreStdin: true, description: 'Name of the server' }),
    tool: string({ required: true, ignoreStdin: true, description: 'Name of the tool' }),
  };
  static override flags = {
    args: option({ helpValue: '<json>', summary: 'The arguments as a JSON object, or @file that holds it' }),
    arg: option({
      multiple: true,
      multipleNonGreedy: true,
      helpValue: '<name=value>',
      summary: 'One argument, by the type that the tool asks for, =@file that holds it, =@@ for an @; may be repeated',
    }),
    timeout: duration({
      default: 60,
      max: longestWait,
      defaultHelp: async () => '60s',
      summary: 'How long the call may take',
    }),
  };

  protected async execute(): Promise<Artifact> {
    const { server, tool } = this.args;
    const { session } = this.output;
    const args = await readArguments(this.flags.args, session.cwd);
    const single = await Promise.all((this.flags.arg ?? []).map((text) => pair(text, session.cwd)));
    const [{ callTool }, { canAsk }] = await Promise.all([
      import('../../../lib/app/mcp-call.ts'),
      import('../../../entry/cli/ask.ts'),
    ]);
    const given = new AbortController();
    using interrupts = new Interrupts();
    using line = new ProgressLine(session, `Calling ${tool}`);
    const person = canAsk(session) ? (await import('../../../entry/cli/elicitation.ts')).askPerson : undefined;
    const ask = person?.(server, session, () => given.abort());
    try {
      return await callTool(this.context, {
        server,
        tool,
        args,
        single,
        timeoutMs: this.flags.timeout * 1000,
        signal: AbortSignal.any([interrupts.signal, given.signal]),
        answer:
          ask &&
          (async (question, signal) => {
            line.clear();
            return await ask(question, signal);
          }),
        onProgress: (progress) => this.#tell(progress, line),
      });
    } catch (error) {
      if (!(error instanceof CancelledError) || (interrupts.first === undefined && !given.signal.aborted)) throw error;
      throw new CancelledError('Interrupted', {
        hint: 'The server was asked to give up; the audit tells how the call ended',
        next: ['admin audit list --limit 5'],
        data: { signal: interrupts.first ?? 'SIGINT' },
        cause: error,
      });
    }
  }

  #tell(progress: CallProgress, line: ProgressLine): void {
    const { progress: done, total, message } = progress;
    if (this.output.session.json) this.output.line('', { progress: { progress: done, total, message } });
    const far = total === undefined ? `${done}` : `${done} of ${total}`;
    line.say(message === undefined ? far : `${far}, ${harmless(message).replaceAll('\n', ' ')}`);
  }
}

async function readArguments(given: string | undefined, cwd: string): Promise<Record<string, unknown>> {
  if (given === undefined) return {};
  const source = given.startsWith('@') ? given.slice(1) : undefined;
  const text = source === undefined ? given : await readTextFile(source, cwd);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new UsageError(`--args is not JSON${source === undefined ? '' : ` in ${source}`}`, {
      hint: `Write an object, such as --args '{"name":"value"}'`,
      next: ['plugins mcp call --help'],
      cause,
    });
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new UsageError('--args must be a JSON object', { next: ['plugins mcp call --help'] });
  }
  return { ...value };
}

/** `name=text`, `name=@file`, and `name=@@text` for a text that begins with an @. */
async function pair(given: string, cwd: string): Promise<readonly [string, string]> {
  const at = given.indexOf('=');
  if (at < 1) {
    throw new UsageError(`--arg ${given.slice(0, 80)} is not name=value`, { next: ['plugins mcp call --help'] });
  }
  const [name, text] = [given.slice(0, at), given.slice(at + 1)];
  if (!text.startsWith('@')) return [name, text];
  return [name, text.startsWith('@@') ? text.slice(1) : await readTextFile(text.slice(1), cwd)];
}
