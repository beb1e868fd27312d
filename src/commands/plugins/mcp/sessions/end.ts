import { string as argument } from '@oclif/core/args';
import { string } from '@oclif/core/flags';
import { BaseCommand } from '../../../../entry/cli/base-command.ts';
import { mcpSessionsTable } from '../../../../entry/cli/views/mcp-sessions.ts';
import type { Artifact } from '../../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../../lib/shared/command.ts';
import { UsageError } from '../../../../lib/shared/errors.ts';

export default class McpSessionsEnd extends BaseCommand<typeof McpSessionsEnd> {
  static override summary = 'End sessions of clients with MCP servers';
  static override description =
    'By the id of one, or all of a user or a server. Their streams end, the server is told, and the client begins a new one with ' +
    'its next request: who is not to come in again loses the sign-in (admin users sessions revoke).';
  static override examples = [
    '<%= config.bin %> plugins mcp sessions end 0b8f7c1e-6a53-8a53-9c39-0d9c8f6f8a11',
    '<%= config.bin %> plugins mcp sessions end --user ada --server systemprompt',
  ];
  static override declaration: CommandDeclaration = { effect: 'write', permission: 'user', needs: 'database' };
  static override args = {
    session: argument({ ignoreStdin: true, description: 'Id of the session, from plugins mcp sessions list' }),
  };
  static override flags = {
    user: string({ helpValue: '<user>', summary: 'Those of this user: name, mail address or id' }),
    server: string({ helpValue: '<name>', summary: 'Those with this server' }),
  };

  protected async execute(): Promise<Artifact> {
    const { session: id } = this.args;
    const { user, server } = this.flags;
    if ((id === undefined) === (user === undefined && server === undefined)) {
      throw new UsageError('Which sessions? Give the id of one, or --user or --server', {
        next: ['plugins mcp sessions list'],
      });
    }
    const { McpSessions } = await import('../../../../lib/app/access/mcp-sessions.ts');
    const sessions = new McpSessions(await this.context.database());
    const which = id === undefined ? { user, server } : { id };
    return mcpSessionsTable(await sessions.end(await this.context.currentActor(), which));
  }
}
