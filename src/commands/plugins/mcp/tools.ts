import { string } from '@oclif/core/args';
import { boolean } from '@oclif/core/flags';
import { BaseCommand } from '../../../entry/cli/base-command.ts';
import { Interrupts } from '../../../entry/cli/interrupt.ts';
import type { Artifact } from '../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../lib/shared/command.ts';

export default class McpTools extends BaseCommand<typeof McpTools> {
  static override summary = 'List the tools of an MCP server';
  static override description =
    'Those that you may call, as the running server lists them. --diff shows what is on record of all of them: what is held ' +
    'back and why, beside the form that was approved, with what looks like instructions to a model.';
  static override examples = [
    '<%= config.bin %> plugins mcp tools systemprompt',
    '<%= config.bin %> plugins mcp tools files --diff',
  ];
  static override declaration: CommandDeclaration = {
    effect: 'read',
    permission: 'user',
    needs: 'api',
    localOnly: true,
  };
  static override args = {
    server: string({ required: true, ignoreStdin: true, description: 'Name of the server' }),
  };

  static override flags = {
    diff: boolean({ summary: 'What differs from what was approved, and what was found suspicious' }),
  };

  protected async execute(): Promise<Artifact> {
    if (this.flags.diff) return this.#diff();
    const { listTools } = await import('../../../lib/app/mcp-call.ts');
    using interrupts = new Interrupts();
    const tools = await listTools(this.context, this.args.server, interrupts.signal);
    return {
      type: 'list',
      items: tools.map((tool) => ({
        title: tool.name,
        id: tool.name,
        ...(tool.description === undefined ? {} : { summary: tool.description }),
        data: {
          input_schema: tool.inputSchema,
          ...(tool.annotations === undefined ? {} : { annotations: tool.annotations }),
        },
      })),
      count: tools.length,
      empty: 'No tools found.',
    };
  }

  async #diff(): Promise<Artifact> {
    const { toolsOnRecord } = await import('../../../lib/app/catalogue/review.ts');
    const { toolDiffs } = await import('../../../entry/cli/views/tools.ts');
    return toolDiffs(this.args.server, await toolsOnRecord(await this.context.database(), this.args.server));
  }
}
