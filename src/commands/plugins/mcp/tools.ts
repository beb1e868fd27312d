import { string } from '@oclif/core/args';
import { BaseCommand } from '../../../entry/cli/base-command.ts';
import { Interrupts } from '../../../entry/cli/interrupt.ts';
import type { Artifact } from '../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../lib/shared/command.ts';

export default class McpTools extends BaseCommand<typeof McpTools> {
  static override summary = 'List the tools of an MCP server';
  static override examples = ['<%= config.bin %> plugins mcp tools systemprompt'];
  static override declaration: CommandDeclaration = {
    effect: 'read',
    permission: 'user',
    needs: 'api',
    localOnly: true,
  };
  static override args = {
    server: string({ required: true, ignoreStdin: true, description: 'Name of the server' }),
  };

  protected async execute(): Promise<Artifact> {
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
}
