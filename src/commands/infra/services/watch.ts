import { BaseCommand } from '../../../entry/cli/base-command.ts';
import { Interrupts } from '../../../entry/cli/interrupt.ts';
import type { Keyboard } from '../../../entry/cli/live/keys.ts';
import { canDraw } from '../../../entry/cli/live/reporter.ts';
import type { SupervisorPlace } from '../../../entry/cli/live/supervisor-feed.ts';
import { watchDrawn, watchPlain } from '../../../entry/cli/live/watch.ts';
import { emptyWatch } from '../../../entry/cli/live/watch-model.ts';
import { servicesTable } from '../../../entry/cli/views/services.ts';
import type { Artifact } from '../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../lib/shared/command.ts';

export default class Watch extends BaseCommand<typeof Watch> {
  static override summary = 'Watch the services live, and steer them by keys';
  static override description =
    'At a terminal a table that keeps itself up to date: arrows select, r restarts, s stops or starts, l follows the output, ' +
    'q quits. Elsewhere a line for each event until Ctrl-C, as JSON with --json. When the supervisor ends it says so, and ' +
    'goes on with the next one.';
  static override examples = [
    '<%= config.bin %> infra services watch',
    '<%= config.bin %> infra services watch --json',
  ];
  static override declaration: CommandDeclaration = {
    effect: 'write',
    permission: 'admin',
    needs: 'supervisor',
    localOnly: true,
  };

  protected async execute(): Promise<Artifact> {
    const place = await this.context.instance();
    // Who begins to watch nothing has mistaken the place; one that ends later is waited for.
    await this.context.supervisor();
    return canDraw(this.output.session) ? await this.#drawn(place) : await this.#plain(place);
  }

  async #drawn(place: SupervisorPlace): Promise<Artifact> {
    const { session } = this.output;
    const { WatchScreen } = await import('../../../entry/cli/live/watch-view.ts');
    using interrupts = new Interrupts();
    const screen = new WatchScreen(session.stderr, emptyWatch);
    try {
      const last = await watchDrawn(place, session.stdin as unknown as Keyboard, screen, {
        signal: interrupts.signal,
        interrupt: () => {
          this.exitStatus = 130; // in raw mode a Ctrl-C is a key, not a signal
        },
      });
      if (interrupts.first !== undefined) this.exitStatus = interrupts.exitCode;
      return last === undefined ? { type: 'text', content: 'No supervisor answered.' } : servicesTable(last);
    } finally {
      await screen.close();
    }
  }

  async #plain(place: SupervisorPlace): Promise<Artifact> {
    using interrupts = new Interrupts();
    const count = await watchPlain(place, this.output, interrupts);
    this.exitStatus = interrupts.exitCode;
    return { type: 'text', content: `${count} events.`, data: { count } };
  }
}
