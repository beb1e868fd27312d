import { BaseCommand } from '../../../entry/cli/base-command.ts';
import { logFilterFlags, logPageFlags, wantedLogs } from '../../../entry/cli/log-flags.ts';
import type { Artifact } from '../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../lib/shared/command.ts';

export default class LogsView extends BaseCommand<typeof LogsView> {
  static override summary = 'Show what was logged, of files and database';
  static override description =
    'Lines of files, changes of services and tool calls, merged by time, the newest last. Where nothing runs the files ' +
    'are read alone.';
  static override examples = [
    '<%= config.bin %> infra logs view --since 15m --level warn',
    '<%= config.bin %> infra logs view --service mcp --limit 50',
    '<%= config.bin %> infra logs view --source events --source calls --json',
  ];
  static override declaration: CommandDeclaration = { effect: 'read', permission: 'admin', needs: 'profile' };
  static override flags = { ...logFilterFlags, ...logPageFlags };

  protected async execute(): Promise<Artifact> {
    const [{ openLogPlaces, pageEnd }, { newestEntries }, { entriesText }] = await Promise.all([
      import('../../../entry/cli/log-places.ts'),
      import('../../../lib/app/logs/index.ts'),
      import('../../../entry/cli/views/log-entries.ts'),
    ]);
    const before = pageEnd(this.flags.cursor, 'infra logs view');
    const wanted = wantedLogs(this.flags);
    const places = await openLogPlaces(this.context, this.flags.service ?? [], true, this.flags.user);
    const page = await newestEntries(
      places,
      { ...wanted, services: places.asked, user: places.user },
      this.flags.limit,
      { before },
    );
    return entriesText(page, places.missing, 'Nothing was logged that is like this.');
  }
}
