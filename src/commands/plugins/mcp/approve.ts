import { string } from '@oclif/core/args';
import { boolean, string as option } from '@oclif/core/flags';
import { BaseCommand } from '../../../entry/cli/base-command.ts';
import type { Artifact } from '../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../lib/shared/command.ts';

export default class McpApprove extends BaseCommand<typeof McpApprove> {
  static override summary = 'Approve tools of an MCP server that are held back';
  static override description =
    'A tool is approved in the form in which it is held now, and held again when it changes. Never offered through the MCP ' +
    'tool: a model does not approve what it reads.';
  static override examples = [
    '<%= config.bin %> plugins mcp approve files read_file write_file',
    '<%= config.bin %> plugins mcp approve files read_file --digest 5f2c9a01be44',
    '<%= config.bin %> plugins mcp approve files --all',
  ];
  static override declaration: CommandDeclaration = {
    effect: 'write',
    permission: 'admin',
    needs: 'database',
    localOnly: true,
  };
  static override args = {
    server: string({ required: true, ignoreStdin: true, description: 'Name of the server' }),
    tools: string({ ignoreStdin: true, multiple: true, description: 'Names of tools' }),
  };
  static override flags = {
    all: boolean({ summary: 'All that are held and in which nothing suspicious was found' }),
    digest: option({ helpValue: '<hex>', summary: 'Only in this form: the beginning of the digest that was shown' }),
  };

  protected async execute(): Promise<Artifact> {
    const { approvedTools } = await import('../../../entry/cli/views/tools.ts');
    const { approve } = await import('../../../lib/app/catalogue/review.ts');
    const { server, tools = [] } = this.args;
    const { all = false, digest } = this.flags;
    const actor = await this.context.currentActor();
    const done = await approve(await this.context.database(), { server, tools, all, digest }, actor.userId);
    return approvedTools(server, done, this.output.runnable(`plugins mcp tools ${server} --diff`));
  }
}
