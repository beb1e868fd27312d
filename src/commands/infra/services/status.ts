import { string } from '@oclif/core/args';
import { BaseCommand } from '../../../entry/cli/base-command.ts';
import { leftRunning, servicesTable, stoppedTable } from '../../../entry/cli/views/services.ts';
import type { Selectable } from '../../../lib/app/supervisor/selection.ts';
import type { Artifact } from '../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../lib/shared/command.ts';

export default class Status extends BaseCommand<typeof Status> {
  static override summary = 'Show what runs, where, and since when';
  static override examples = [
    '<%= config.bin %> infra services status',
    '<%= config.bin %> infra services status mcp',
    '<%= config.bin %> infra services status --json',
  ];
  static override declaration: CommandDeclaration = { effect: 'read', permission: 'user', needs: 'supervisor' };
  static override args = {
    services: string({
      multiple: true,
      ignoreStdin: true,
      description: 'Names or kinds (api, mcp, database); all when none is named',
    }),
  };

  protected async execute(): Promise<Artifact> {
    const status = await this.context.runningStatus();
    if (status !== undefined) {
      // Logs are for admins; a status is for everybody.
      const withLogs = !this.output.session.delegated;
      return servicesTable({ ...status, services: await this.#chosen(status.services) }, { withLogs });
    }
    const { configuredServices, selectable } = await import('../../../entry/cli/configured-services.ts');
    const configured = await configuredServices(this.context);
    const start = this.output.runnable('infra services start');
    const { leftBehind } = await import('../../../lib/app/supervisor/left-behind.ts');
    const left = await leftBehind((await this.context.instance()).id);
    const title =
      left.size === 0
        ? `Nothing is running. Start it: ${start}`
        : `${leftRunning([...left.keys()])}. Take over: ${start}`;
    const known = [
      ...configured,
      ...[...left.keys()].filter((name) => !configured.some((one) => one.name === name)).map(selectable),
    ];
    return stoppedTable(
      (await this.#chosen(known)).map(({ name }) => name),
      title,
      left,
    );
  }

  /** @throws NotFoundError with the nearest names */
  async #chosen<T extends Selectable>(known: readonly T[]): Promise<readonly T[]> {
    const wanted = this.args.services ?? [];
    if (wanted.length === 0) return known;
    const { selectServices } = await import('../../../lib/app/supervisor/selection.ts');
    return selectServices(wanted, known);
  }
}
