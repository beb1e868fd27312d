import { readFile } from 'node:fs/promises';
import { string } from '@oclif/core/args';
import { string as option } from '@oclif/core/flags';
import { BaseCommand } from '../../../entry/cli/base-command.ts';
import { duration, longestWait } from '../../../entry/cli/flags.ts';
import { Interrupts } from '../../../entry/cli/interrupt.ts';
import type { Artifact } from '../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../lib/shared/command.ts';
import { CancelledError, NotFoundError, UsageError } from '../../../lib/shared/errors.ts';

export default class McpCall extends BaseCommand<typeof McpCall> {
  static override summary = 'Call a tool of an MCP server';
  static override description =
    'Goes the way of every client: by HTTP through the API, with a token for that server, permitted and audited.';
  static override examples = [
    `<%= config.bin %> plugins mcp call systemprompt systemprompt --args '{"args":["infra","services","status"]}'`,
    '<%= config.bin %> plugins mcp call systemprompt systemprompt --args @call.json',
    `<%= config.bin %> plugins mcp call systemprompt systemprompt --arg 'args=["doctor"]'`,
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
      summary: 'One argument, by the type that the tool asks for; may be repeated',
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
    const args = await readArguments(this.flags.args);
    const single = new Map((this.flags.arg ?? []).map(pair));
    const { callTool } = await import('../../../lib/app/mcp-call.ts');
    using interrupts = new Interrupts();
    try {
      const { signal } = interrupts;
      return await callTool(this.context, { server, tool, args, single, timeoutMs: this.flags.timeout * 1000, signal });
    } catch (error) {
      if (!(error instanceof CancelledError) || interrupts.first === undefined) throw error;
      throw new CancelledError('Interrupted', {
        hint: 'The server was asked to give up; the audit tells how the call ended',
        next: ['admin audit list --limit 5'],
        data: { signal: interrupts.first },
        cause: error,
      });
    }
  }
}

async function readArguments(given: string | undefined): Promise<Record<string, unknown>> {
  if (given === undefined) return {};
  const source = given.startsWith('@') ? given.slice(1) : undefined;
  const text = source === undefined ? given : await readArgumentFile(source);
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

async function readArgumentFile(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    throw new NotFoundError(`The file ${file} of --args can't be read`, { cause });
  }
}

function pair(text: string): [string, string] {
  const at = text.indexOf('=');
  if (at < 1) {
    throw new UsageError(`--arg ${text.slice(0, 80)} is not name=value`, { next: ['plugins mcp call --help'] });
  }
  return [text.slice(0, at), text.slice(at + 1)];
}
