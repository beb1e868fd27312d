import { string } from '@oclif/core/args';
import { BaseCommand } from '../../../entry/cli/base-command.ts';
import { shellWord } from '../../../entry/cli/invocation.ts';
import { serviceLogFlags, serviceLogs } from '../../../entry/cli/service-logs.ts';
import type { TextArtifact } from '../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../lib/shared/command.ts';
import { UsageError } from '../../../lib/shared/errors.ts';

export default class McpLogs extends BaseCommand<typeof McpLogs> {
  static override summary = 'Show what an MCP server prints and has printed';
  static override description =
    'The lines of its process, and of the bridge before a program of somebody else. A virtual server has none: look at its targets.';
  static override examples = [
    '<%= config.bin %> plugins mcp logs systemprompt --lines 50',
    '<%= config.bin %> plugins mcp logs systemprompt --level warn --follow',
  ];
  static override declaration: CommandDeclaration = { effect: 'read', permission: 'admin', needs: 'supervisor' };
  static override args = {
    server: string({ required: true, ignoreStdin: true, description: 'Name of the server' }),
  };
  static override flags = serviceLogFlags;

  protected async execute(): Promise<TextArtifact> {
    const { server } = this.args;
    const { follow } = this.flags;
    if (follow && this.output.session.delegated) {
      throw new UsageError("--follow never ends, so it can't be answered here", {
        hint: 'Ask for the last lines with --lines, and again later for newer ones',
        next: [`plugins mcp logs ${shellWord(server)} --lines 50`],
      });
    }
    const wanted = { context: this.context, output: this.output, asked: [`mcp:${server}`], flags: this.flags };
    return await serviceLogs(wanted, (code) => {
      this.exitStatus = code;
    });
  }
}
