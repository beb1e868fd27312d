import { boolean, integer, string } from '@oclif/core/flags';
import { BaseCommand } from '../../../entry/cli/base-command.ts';
import { moment } from '../../../entry/cli/flags.ts';
import { auditTable } from '../../../entry/cli/views/audit.ts';
import type { Artifact } from '../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../lib/shared/command.ts';

// Written out, so that the command line is parsed without loading the audit; a test compares it with the domain's list.
export const auditStatuses = [
  'success',
  'tool_error',
  'failed',
  'refused',
  'timeout',
  'cancelled',
  'interrupted',
  'open',
] as const;

export default class AuditList extends BaseCommand<typeof AuditList> {
  static override summary = 'List tool calls, the newest first';
  static override description = 'An admin sees every call, everybody else their own.';
  static override examples = [
    '<%= config.bin %> admin audit list --limit 5',
    '<%= config.bin %> admin audit list --status refused --since 1h',
    '<%= config.bin %> admin audit list --server systemprompt --decision allowed --scopes',
    '<%= config.bin %> admin audit list --server systemprompt --json',
  ];
  static override declaration: CommandDeclaration = { effect: 'read', permission: 'user', needs: 'database' };
  static override flags = {
    server: string({ helpValue: '<name>', summary: 'Calls of this MCP server' }),
    tool: string({ helpValue: '<name>', summary: 'Calls of this tool' }),
    user: string({ helpValue: '<name>', summary: 'Calls of this user' }),
    status: string({ options: auditStatuses, summary: 'Calls that ended so; open: not ended yet' }),
    decision: string({ options: ['allowed', 'refused'], summary: 'Calls that were let through, or not' }),
    scope: string({ helpValue: '<scope>', summary: 'Calls that asked for this scope' }),
    scopes: boolean({ summary: 'Show what each call asked for, and what the caller held' }),
    since: moment({ summary: 'Calls since then' }),
    until: moment({ summary: 'Calls until then' }),
    limit: integer({ min: 1, max: 500, default: 50, helpValue: '<number>', summary: 'How many at most' }),
    cursor: string({ helpValue: '<cursor>', summary: 'Go on where the list before ended' }),
  };

  protected async execute(): Promise<Artifact> {
    const { AuditReader } = await import('../../../lib/domain/governance/index.ts');
    const { status, decision, limit, scopes, server, tool, user, scope, since, until, cursor } = this.flags;
    const filters = {
      ...{ server, tool, user, scope, since, until, cursor },
      status: status as (typeof auditStatuses)[number] | undefined,
      decision: decision as 'allowed' | 'refused' | undefined,
    };
    const given = Object.fromEntries(Object.entries(filters).filter(([, value]) => value !== undefined));
    const reader = new AuditReader(await this.context.database());
    const page = await reader.list(await this.context.currentActor(), { ...given, limit });
    return auditTable(page, scopes);
  }
}
