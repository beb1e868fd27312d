import { resolve } from 'node:path';
import { boolean, string } from '@oclif/core/flags';
import { BaseCommand } from '../../../entry/cli/base-command.ts';
import { withCommandDatabase } from '../../../entry/cli/database-access.ts';
import { databasePlace } from '../../../entry/cli/database-place.ts';
import { longestWait } from '../../../entry/cli/flags.ts';
import { ProgressLine } from '../../../entry/cli/live/progress-line.ts';
import { backupCard } from '../../../entry/cli/views/backup.ts';
import type { Artifact } from '../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../lib/shared/command.ts';
import { PartialError } from '../../../lib/shared/errors.ts';

const lockWaitMs = 15_000;

export default class DbBackup extends BaseCommand<typeof DbBackup> {
  static override summary = 'Write the whole database into one file';
  static override description =
    'As it is at one moment, while everything goes on. The file has mode 0600. Where nothing runs, the embedded ' +
    'database is started for as long as this takes.';
  static override examples = [
    '<%= config.bin %> infra db backup',
    '<%= config.bin %> infra db backup --output /srv/backups/monday.backup --wait',
  ];
  static override declaration: CommandDeclaration = {
    effect: 'read',
    permission: 'admin',
    needs: 'database',
    localOnly: true,
  };
  static override flags = {
    output: string({
      char: 'o',
      helpValue: '<path>',
      summary: 'The file; systemprompt-<time>.backup in this folder unless told',
    }),
    wait: boolean({ summary: 'Wait for a migration that runs, however long; 15s unless told' }),
  };

  protected async execute(): Promise<Artifact> {
    const { flags, context, output } = this;
    const place = await databasePlace(context);
    const { backup } = await import('../../../lib/app/database/backup.ts');
    const { coreExtensions } = await import('../../../lib/app/extensions/core.ts');
    const { packageVersion } = await import('../../../lib/infra/config/package-root.ts');
    const since = performance.now();
    const time = new Date().toISOString().slice(0, 19).replaceAll(':', '-');
    const path = resolve(output.session.cwd, flags.output ?? `systemprompt-${time}Z.backup`);
    using line = new ProgressLine(output.session, 'Backing up');
    const report = await withCommandDatabase(
      context,
      output,
      { purpose: 'The database is being backed up' },
      (signal) =>
        backup(place, {
          path,
          version: packageVersion(),
          extensions: coreExtensions.filter(({ migrations }) => migrations !== undefined).map(({ id }) => id),
          lockWaitMs: flags.wait ? longestWait * 1000 : lockWaitMs,
          onProgress: line.show,
          signal,
        }),
    );
    if (report.skipped.length > 0) {
      this.verdict = new PartialError(`The backup is written, without ${report.skipped.join(', ')}`, {
        hint: 'Save these in another way',
        data: { skipped: report.skipped },
      });
    }
    return backupCard(report, performance.now() - since);
  }
}
