import { string } from '@oclif/core/args';
import { BaseCommand } from '../../../entry/cli/base-command.ts';
import { auditCard } from '../../../entry/cli/views/audit.ts';
import type { Artifact } from '../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../lib/shared/command.ts';

export default class AuditShow extends BaseCommand<typeof AuditShow> {
  static override summary = 'Show everything the audit knows of one tool call';
  static override examples = ['<%= config.bin %> admin audit show 01930000-0000-7000-8000-000000000000'];
  static override declaration: CommandDeclaration = { effect: 'read', permission: 'user', needs: 'database' };
  static override args = {
    execution: string({ required: true, ignoreStdin: true, description: 'Id of the call, from admin audit list' }),
  };

  protected async execute(): Promise<Artifact> {
    const { AuditReader, findArtifact } = await import('../../../lib/domain/governance/index.ts');
    const database = await this.context.database();
    const entry = await new AuditReader(database).show(await this.context.currentActor(), this.args.execution);
    return auditCard(entry, await findArtifact(database, entry.executionId));
  }
}
