import { resolve } from 'node:path';
import { string } from '@oclif/core/args';
import { boolean } from '@oclif/core/flags';
import { BaseCommand } from '../../../entry/cli/base-command.ts';
import { confirmed } from '../../../entry/cli/confirm.ts';
import { withCommandDatabase } from '../../../entry/cli/database-access.ts';
import { databasePlace } from '../../../entry/cli/database-place.ts';
import { ProgressLine } from '../../../entry/cli/live/progress-line.ts';
import { restoreCard } from '../../../entry/cli/views/backup.ts';
import type { Artifact } from '../../../lib/shared/artifact.ts';
import { artifactText } from '../../../lib/shared/artifact-text.ts';
import type { CommandDeclaration } from '../../../lib/shared/command.ts';

export default class DbRestore extends BaseCommand<typeof DbRestore> {
  static override summary = 'Replace the database by a backup';
  static override description =
    'The backup is verified first; then it takes the place of everything in one transaction, and migrations that it ' +
    'lacks are applied. The system must be stopped. Restore only what you backed up yourself: a backup can hold code.';
  static override examples = [
    '<%= config.bin %> infra db restore monday.backup --dry-run',
    '<%= config.bin %> infra db restore monday.backup --yes',
  ];
  static override declaration: CommandDeclaration = {
    effect: 'destructive',
    permission: 'admin',
    needs: 'database',
    localOnly: true,
  };
  static override args = { file: string({ required: true, ignoreStdin: true, description: 'The backup' }) };
  static override flags = {
    'dry-run': boolean({ summary: 'Verify it and show what would be done, and change nothing' }),
    yes: boolean({ char: 'y', summary: 'Replace everything without asking' }),
  };
  protected override readonly confirmsItself = true;

  protected async execute(): Promise<Artifact> {
    const { flags, context, output } = this;
    const { session } = output;
    const place = await databasePlace(context);
    const { planRestore } = await import('../../../lib/app/database/restore.ts');
    const { restoreInstance } = await import('../../../lib/app/database/restore-instance.ts');
    const { coreMigrationsRoot } = await import('../../../lib/app/database-admin.ts');
    const { coreExtensions } = await import('../../../lib/app/extensions/core.ts');
    using line = new ProgressLine(session, 'Restoring');
    const request = {
      path: resolve(session.cwd, this.args.file),
      extensions: coreExtensions,
      migrationsRoot: coreMigrationsRoot(),
      onProgress: line.show,
    };
    const plan = await planRestore(request);
    const found = restoreCard(plan, flags['dry-run'] ? 'Would be restored' : 'To be restored');
    if (flags['dry-run']) return found;
    if (!session.json && !flags.yes) output.note(artifactText(found, { width: session.width }));
    const question = 'It takes the place of everything in the database, which is lost. Go on?';
    await confirmed({ id: 'infra:db:restore', effect: 'destroys data', question }, flags, session);
    const since = performance.now();
    const work = { purpose: 'The database is being restored', alone: true };
    await withCommandDatabase(context, output, work, (signal) => restoreInstance(place, plan, { ...request, signal }));
    return restoreCard(plan, 'Restored', performance.now() - since);
  }
}
