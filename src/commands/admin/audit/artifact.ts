import { string } from '@oclif/core/args';
import { BaseCommand } from '../../../entry/cli/base-command.ts';
import type { Artifact } from '../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../lib/shared/command.ts';

export default class AuditArtifact extends BaseCommand<typeof AuditArtifact> {
  static override summary = 'Show what a tool call returned, if it was an artifact';
  static override description =
    'Artifacts are kept without secrets, for as long as settings.tool_artifacts_days says. An admin sees everybody’s, ' +
    'everybody else their own.';
  static override examples = ['<%= config.bin %> admin audit artifact 01930000-0000-7000-8000-000000000000'];
  static override declaration: CommandDeclaration = { effect: 'read', permission: 'user', needs: 'database' };
  static override args = {
    execution: string({ required: true, ignoreStdin: true, description: 'Id of the call, from admin audit list' }),
  };

  protected async execute(): Promise<Artifact> {
    const { artifactOf } = await import('../../../lib/app/artifacts/find.ts');
    return await artifactOf(await this.context.database(), await this.context.currentActor(), this.args.execution);
  }
}
