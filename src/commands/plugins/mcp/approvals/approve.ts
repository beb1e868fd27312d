import { string } from '@oclif/core/args';
import { BaseCommand } from '../../../../entry/cli/base-command.ts';
import { approvalCard } from '../../../../entry/cli/views/approvals.ts';
import type { Artifact } from '../../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../../lib/shared/command.ts';

export default class ApprovalsApprove extends BaseCommand<typeof ApprovalsApprove> {
  static override summary = 'Approve one call that waits';
  static override description =
    'The same caller may make the very same call once, within the hour after it was asked for. Never offered through the ' +
    'MCP tool: what an agent asks for it can’t approve.';
  static override examples = ['<%= config.bin %> plugins mcp approvals approve 01930000-0000-7000-8000-000000000000'];
  static override declaration: CommandDeclaration = {
    effect: 'write',
    permission: 'admin',
    needs: 'database',
    localOnly: true,
  };
  static override args = {
    approval: string({
      required: true,
      ignoreStdin: true,
      description: 'Id of the approval, from the refusal or the list',
    }),
  };

  protected async execute(): Promise<Artifact> {
    const { decide } = await import('../../../../lib/app/approvals/decide.ts');
    const { userId, userName } = await this.context.currentActor();
    const by = { userId, userName, through: 'cli' } as const;
    return approvalCard(await decide(await this.context.database(), this.args.approval, 'approved', by));
  }
}
