import { string as argument } from '@oclif/core/args';
import { boolean, integer, string } from '@oclif/core/flags';
import { BaseCommand } from '../../../../entry/cli/base-command.ts';
import { mcpSessionsTable } from '../../../../entry/cli/views/mcp-sessions.ts';
import type { Artifact } from '../../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../../lib/shared/command.ts';

export default class McpSessionsList extends BaseCommand<typeof McpSessionsList> {
  static override summary = 'List the sessions of clients with MCP servers';
  static override description =
    'Those that were used last first. An admin sees those of everybody, everybody else their own. What was used is written down every 30 seconds.';
  static override examples = [
    '<%= config.bin %> plugins mcp sessions list',
    '<%= config.bin %> plugins mcp sessions list systemprompt --user ada --all',
  ];
  static override declaration: CommandDeclaration = { effect: 'read', permission: 'user', needs: 'database' };
  static override args = {
    server: argument({ ignoreStdin: true, description: 'A server; all when none is named' }),
  };
  static override flags = {
    user: string({ helpValue: '<user>', summary: 'Those of this user: name, mail address or id' }),
    all: boolean({ summary: 'Those that ended too' }),
    limit: integer({ min: 1, max: 500, default: 50, helpValue: '<number>', summary: 'How many at most' }),
  };

  protected async execute(): Promise<Artifact> {
    const { McpSessions } = await import('../../../../lib/app/access/mcp-sessions.ts');
    const sessions = new McpSessions(await this.context.database());
    const { user, all, limit } = this.flags;
    const { server } = this.args;
    return mcpSessionsTable(await sessions.list(await this.context.currentActor(), { user, server, all, limit }));
  }
}
