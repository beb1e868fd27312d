import { boolean, integer } from '@oclif/core/flags';
import { BaseCommand } from '../../../entry/cli/base-command.ts';
import { logFilterFlags, wantedLogs } from '../../../entry/cli/log-flags.ts';
import type { Artifact } from '../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../lib/shared/command.ts';

export default class LogsSummary extends BaseCommand<typeof LogsSummary> {
  static override summary = 'Count what was logged, by service and level';
  static override description =
    'With --messages the most frequent messages instead; those that differ in numbers and ids only are one. With --over-time a chart.';
  static override examples = [
    '<%= config.bin %> infra logs summary --since 1d',
    '<%= config.bin %> infra logs summary --since 1d --over-time',
    '<%= config.bin %> infra logs summary --messages --level warn --limit 10',
  ];
  static override declaration: CommandDeclaration = { effect: 'read', permission: 'admin', needs: 'profile' };
  static override flags = {
    messages: boolean({ exclusive: ['over-time'], summary: 'The most frequent messages' }),
    'over-time': boolean({ summary: 'A chart of how much there was when, by level' }),
    ...logFilterFlags,
    limit: integer({ min: 1, max: 1_000, default: 20, helpValue: '<number>', summary: 'How many messages at most' }),
  };

  protected async execute(): Promise<Artifact> {
    const [{ openLogPlaces }, { allEntries }, { summarise }, { messagesTable, overTimeChart, summaryTable }] =
      await Promise.all([
        import('../../../entry/cli/log-places.ts'),
        import('../../../lib/app/logs/index.ts'),
        import('../../../lib/app/logs/summary.ts'),
        import('../../../entry/cli/views/log-entries.ts'),
      ]);
    const wanted = wantedLogs(this.flags);
    const places = await openLogPlaces(this.context, this.flags.service ?? [], true, this.flags.user);
    const entries = allEntries(places, { ...wanted, services: places.asked, user: places.user });
    if (this.flags['over-time']) {
      const { countOverTime } = await import('../../../lib/app/logs/over-time.ts');
      return overTimeChart(await countOverTime(entries), places.missing);
    }
    const summary = await summarise(entries);
    if (this.flags.messages) return messagesTable(summary, this.flags.limit, places.missing);
    return summaryTable(summary, places.missing);
  }
}
