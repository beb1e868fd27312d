import { boolean, integer, string } from '@oclif/core/flags';
import { BaseCommand } from '../../../entry/cli/base-command.ts';
import { moment } from '../../../entry/cli/flags.ts';
import { Interrupts } from '../../../entry/cli/interrupt.ts';
import { eventsTable, eventText } from '../../../entry/cli/views/events.ts';
import { eventTypes, passes, type ServiceEvent } from '../../../lib/app/supervisor/event-types.ts';
import type { Artifact } from '../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../lib/shared/command.ts';
import { UsageError } from '../../../lib/shared/errors.ts';

export default class Events extends BaseCommand<typeof Events> {
  static override summary = 'List what happened to the services, newest last';
  static override description =
    'Every change of state is kept in the database, over restarts of the supervisor. ' +
    'With --follow what happens from now on is printed too, until Ctrl-C.';
  static override examples = [
    '<%= config.bin %> infra services events',
    '<%= config.bin %> infra services events --service mcp --type failed --since 1d',
    '<%= config.bin %> infra services events --follow --json',
  ];
  static override declaration: CommandDeclaration = { effect: 'read', permission: 'admin', needs: 'database' };
  static override flags = {
    service: string({
      multiple: true,
      helpValue: '<name>',
      summary: 'Of this service or kind',
    }),
    type: string({
      multiple: true,
      options: [...eventTypes],
      summary: 'What happened, or the state that it led to',
    }),
    since: moment({ summary: 'Since then' }),
    limit: integer({
      min: 1,
      max: 1000,
      default: 50,
      helpValue: '<number>',
      summary: 'How many of the newest at most',
    }),
    follow: boolean({ summary: 'Go on with what happens from now on, until Ctrl-C' }),
  };

  protected async execute(): Promise<Artifact> {
    const { service: services, type: types, since, limit, follow } = this.flags;
    if (follow && this.output.session.delegated) {
      throw new UsageError("--follow never ends, so it can't be answered here", {
        hint: 'Ask for the newest, and again later with --since',
        next: ['infra services events --since 10m'],
      });
    }
    const { newestEvents, requireServicesOnRecord } = await import('../../../lib/app/supervisor/event-rows.ts');
    const { ServiceEventFeed } = await import('../../../lib/app/supervisor/event-feed.ts');
    const { id } = await this.context.instance();
    const database = await this.context.database();
    if (services !== undefined) await requireServicesOnRecord(database, id, services);
    const filter = { services, types, since };
    const filtered = [services, types, since].some((given) => given !== undefined);
    if (!follow) return eventsTable(await newestEvents(database, id, { ...filter, limit }), filtered);

    using interrupts = new Interrupts();
    const feed = new ServiceEventFeed(database, id);
    let count = 0;
    const print = (events: readonly ServiceEvent[]): void => {
      for (const event of events) {
        count += 1;
        this.output.line(eventText(event), { ...event });
      }
    };
    try {
      const upTo = await feed.position();
      print(await newestEvents(database, id, { ...filter, limit, upTo }));
      const onAway = (): void => this.output.note('The database is away; what happens meanwhile comes when it is back');
      for await (const page of feed.follow({ after: upTo, signal: interrupts.signal, onAway })) {
        print(page.filter((event) => passes(event, filter)));
      }
    } finally {
      await feed.close();
    }
    this.exitStatus = interrupts.exitCode;
    return { type: 'text', content: `${count} events.`, data: { count } };
  }
}
