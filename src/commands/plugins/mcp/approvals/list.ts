import { boolean, integer } from '@oclif/core/flags';
import { BaseCommand } from '../../../../entry/cli/base-command.ts';
import { approvalsTable } from '../../../../entry/cli/views/approvals.ts';
import type { Artifact } from '../../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../../lib/shared/command.ts';

export default class ApprovalsList extends BaseCommand<typeof ApprovalsList> {
  static override summary = 'List calls that wait for an approval';
  static override description = 'An admin sees everybody’s, everybody else their own.';
  static override examples = [
    '<%= config.bin %> plugins mcp approvals list',
    '<%= config.bin %> plugins mcp approvals list --all',
  ];
  static override declaration: CommandDeclaration = { effect: 'read', permission: 'user', needs: 'database' };
  static override flags = {
    all: boolean({ summary: 'Also those that were decided, used or have expired' }),
    limit: integer({ min: 1, max: 500, default: 50, helpValue: '<number>', summary: 'How many at most' }),
  };

  protected async execute(): Promise<Artifact> {
    const { approvalsFor } = await import('../../../../lib/app/approvals/decide.ts');
    const { all, limit } = this.flags;
    const actor = await this.context.currentActor();
    return approvalsTable(await approvalsFor(await this.context.database(), actor, { waiting: !all, limit }));
  }
}
