import { string } from '@oclif/core/args';
import { boolean } from '@oclif/core/flags';
import { BaseCommand } from '../../../entry/cli/base-command.ts';
import { logFilterFlags, logPageFlags, wantedLogs } from '../../../entry/cli/log-flags.ts';
import type { Artifact } from '../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../lib/shared/command.ts';

export default class LogsSearch extends BaseCommand<typeof LogsSearch> {
  static override summary = 'Find a text in everything that was logged';
  static override description =
    'The newest matches, the newest last. With --regex the pattern is a regular expression.';
  static override examples = [
    "<%= config.bin %> infra logs search 'connection refused' --since 1d",
    "<%= config.bin %> infra logs search --regex 'took [0-9]{4,} ms' --service api",
    '<%= config.bin %> infra logs search timeout --ignore-case --json',
  ];
  static override declaration: CommandDeclaration = { effect: 'read', permission: 'admin', needs: 'profile' };
  static override args = {
    pattern: string({
      required: true,
      ignoreStdin: true,
      description: 'The text, as it stands in the message or the line',
    }),
  };
  static override flags = {
    regex: boolean({ summary: 'The pattern is a regular expression without look-around and back-references' }),
    'ignore-case': boolean({ char: 'i', exclusive: ['regex'], summary: 'Capital letters or not' }),
    ...logFilterFlags,
    ...logPageFlags,
  };

  protected async execute(): Promise<Artifact> {
    const [{ openLogPlaces, pageEnd }, { newestEntries }, { searchPattern }, { entriesText }] = await Promise.all([
      import('../../../entry/cli/log-places.ts'),
      import('../../../lib/app/logs/index.ts'),
      import('../../../lib/app/logs/pattern.ts'),
      import('../../../entry/cli/views/log-entries.ts'),
    ]);
    const { regex, 'ignore-case': ignoreCase, limit } = this.flags;
    const passes = searchPattern(this.args.pattern, { regex, ignoreCase });
    const before = pageEnd(this.flags.cursor, 'infra logs search --help');
    const wanted = wantedLogs(this.flags);
    const places = await openLogPlaces(this.context, this.flags.service ?? [], true, this.flags.user);
    const page = await newestEntries(places, { ...wanted, services: places.asked, user: places.user }, limit, {
      before,
      passes,
    });
    return entriesText(page, places.missing, 'No matches found.');
  }
}
