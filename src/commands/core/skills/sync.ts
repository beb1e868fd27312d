import { boolean, option } from '@oclif/core/flags';
import { BaseCommand } from '../../../entry/cli/base-command.ts';
import { confirmed } from '../../../entry/cli/confirm.ts';
import { syncTable } from '../../../entry/cli/views/sync.ts';
import type { Artifact } from '../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../lib/shared/command.ts';
import { ConflictError } from '../../../lib/shared/errors.ts';

export default class SyncSkills extends BaseCommand<typeof SyncSkills> {
  static override summary = 'Bring the skills of files and database together';
  static override description =
    'As cloud sync local does, for the skills alone. Where both sides have changed, nothing is done until a strategy decides.';
  static override examples = ['<%= config.bin %> core skills sync --direction to-db --dry-run'];
  // As cloud sync local is: it writes files of this machine.
  static override declaration: CommandDeclaration = {
    effect: 'destructive',
    permission: 'admin',
    needs: 'database',
    localOnly: true,
  };
  static override flags = {
    direction: option({ options: ['to-db', 'to-disk'] as const })({
      required: true,
      summary: 'Which side follows the other',
    }),
    strategy: option({ options: ['ours', 'theirs', 'merge'] as const })({
      summary: 'Who wins where both sides have changed',
    }),
    'dry-run': boolean({ summary: 'Show what would be done, and change nothing' }),
    yes: boolean({ char: 'y', summary: 'Overwrite and delete without asking' }),
  };
  protected override readonly confirmsItself = true;

  protected async execute(): Promise<Artifact> {
    const { direction, strategy, 'dry-run': dryRun = false } = this.flags;
    const { syncLocal } = await import('../../../lib/app/sync/sync.ts');
    const [instance, database] = [await this.context.instance(), await this.context.database()];
    const { userName: by } = await this.context.currentActor();
    const run = (dry: boolean) =>
      syncLocal(instance, database, { kind: 'skills', direction, strategy, dryRun: dry, by });
    const plan = await run(true);
    if (dryRun) return syncTable(plan, true);
    const contested = plan.steps.filter(({ kind }) => kind === 'conflict').map(({ path }) => path);
    if (contested.length > 0) {
      throw new ConflictError(`Both sides have changed ${contested.join(', ')}; nothing was done`, {
        hint: 'Decide with --strategy ours (the files win), theirs (the database wins) or merge',
      });
    }
    const lost = plan.steps.filter((step) => step.kind === 'delete' || (step.kind === 'write' && step.on === 'files'));
    if (lost.length > 0) {
      const question = `${lost.length} ${lost.length === 1 ? 'file is' : 'files are'} overwritten or deleted; what was there stays as a version. Go on?`;
      await confirmed(
        { id: 'core:skills:sync', effect: 'overwrites files', question },
        this.flags,
        this.output.session,
      );
    }
    return syncTable(await run(false), false);
  }
}
