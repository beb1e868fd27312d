import { integer } from '@oclif/core/flags';
import { BaseCommand } from '../../../entry/cli/base-command.ts';
import { Interrupts } from '../../../entry/cli/interrupt.ts';
import { logFilterFlags, traceId } from '../../../entry/cli/log-flags.ts';
import type { Artifact } from '../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../lib/shared/command.ts';
import { UsageError } from '../../../lib/shared/errors.ts';

const { service, level, trace } = logFilterFlags;

export default class LogsStream extends BaseCommand<typeof LogsStream> {
  static override summary = 'Follow what is logged from now on, until Ctrl-C';
  static override description = 'Lines of files and changes of services; with --json a line of JSON for each.';
  static override examples = [
    '<%= config.bin %> infra logs stream',
    '<%= config.bin %> infra logs stream --service mcp --level warn',
    '<%= config.bin %> infra logs stream --json',
  ];
  static override declaration: CommandDeclaration = { effect: 'read', permission: 'admin', needs: 'profile' };
  static override flags = {
    service,
    level,
    trace,
    lines: integer({
      char: 'n',
      min: 0,
      max: 1_000,
      default: 10,
      helpValue: '<number>',
      summary: 'How many of the last lines of each service come first',
    }),
  };

  protected async execute(): Promise<Artifact> {
    if (this.output.session.delegated) {
      throw new UsageError("A stream never ends, so it can't be answered here", {
        hint: 'Ask for the newest, and again later with --since',
        next: ['infra logs view --since 10m'],
      });
    }
    const wantedTrace = traceId(this.flags.trace);
    const [{ openLogPlaces }, { followEvents, followLines }, { entryFacts, entryText }] = await Promise.all([
      import('../../../entry/cli/log-places.ts'),
      import('../../../lib/app/logs/following.ts'),
      import('../../../entry/cli/views/log-entries.ts'),
    ]);
    const places = await openLogPlaces(this.context, this.flags.service ?? [], wantedTrace === undefined);
    const services = places.asked ?? places.services;
    const width = Math.max(0, ...services.map((name) => name.length));
    if (places.missing !== undefined) this.output.note(places.missing);
    using interrupts = new Interrupts();
    let count = 0;
    const following = {
      logsDir: places.logsDir,
      services,
      lines: this.flags.lines,
      wanted: { level: this.flags.level, trace: wantedTrace, services: places.asked },
      signal: interrupts.signal,
      give: (entry: Parameters<typeof entryText>[0]): void => {
        count += 1;
        this.output.line(entryText(entry, width), entryFacts(entry));
      },
    };
    const { rows } = places;
    const events =
      rows === undefined ? undefined : followEvents(await this.context.database(), rows.installationId, following);
    await Promise.all([followLines(following), events]);
    this.exitStatus = interrupts.exitCode;
    return { type: 'text', content: `${count} entries.`, data: { count } };
  }
}
