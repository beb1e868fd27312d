import { string } from '@oclif/core/args';
import { BaseCommand } from '../../../../entry/cli/base-command.ts';
import { approvalCard } from '../../../../entry/cli/views/approvals.ts';
import type { Artifact } from '../../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../../lib/shared/command.ts';

export default class ApprovalsShow extends BaseCommand<typeof ApprovalsShow> {
  static override summary = 'Show what would be approved, and for whom';
  static override examples = ['<%= config.bin %> plugins mcp approvals show 01930000-0000-7000-8000-000000000000'];
  static override declaration: CommandDeclaration = { effect: 'read', permission: 'user', needs: 'database' };
  static override args = {
    approval: string({
      required: true,
      ignoreStdin: true,
      description: 'Id of the approval, from the refusal or the list',
    }),
  };

  protected async execute(): Promise<Artifact> {
    const { approvalFor } = await import('../../../../lib/app/approvals/decide.ts');
    const actor = await this.context.currentActor();
    return approvalCard(await approvalFor(await this.context.database(), actor, this.args.approval));
  }
}
