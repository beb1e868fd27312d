import { string } from '@oclif/core/args';
import { boolean } from '@oclif/core/flags';
import { BaseCommand } from '../../../entry/cli/base-command.ts';
import { refuseOwnPath } from '../../../entry/cli/delegation.ts';
import { showUntilStopped } from '../../../entry/cli/live/stopping.ts';
import { changedTable, leftRunning } from '../../../entry/cli/views/services.ts';
import type { CommandContext } from '../../../lib/app/command-context.ts';
import type { SupervisorClient } from '../../../lib/app/supervisor/client.ts';
import { isNotRunning } from '../../../lib/app/supervisor/running.ts';
import type { Artifact } from '../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../lib/shared/command.ts';
import { ConflictError } from '../../../lib/shared/errors.ts';

export default class Stop extends BaseCommand<typeof Stop> {
  static override summary = 'Stop everything, or the services that are named';
  static override examples = [
    '<%= config.bin %> infra services stop',
    '<%= config.bin %> infra services stop mcp:systemprompt',
    '<%= config.bin %> infra services stop --now',
  ];
  static override declaration: CommandDeclaration = { effect: 'write', permission: 'admin', needs: 'supervisor' };
  static override args = {
    services: string({
      multiple: true,
      ignoreStdin: true,
      description: 'Services to stop; all, and the supervisor, when none is named',
    }),
  };
  static override flags = {
    now: boolean({ summary: 'Kill instead of waiting for a graceful end' }),
  };

  protected async execute(): Promise<Artifact> {
    const names = this.args.services ?? [];
    refuseOwnPath('stop', names, this.output.session);
    let supervisor: SupervisorClient;
    try {
      supervisor = await this.context.supervisor();
    } catch (error) {
      if (!isNotRunning(error)) throw error;
      await refuseLeftBehind(this.context);
      return { type: 'text', content: 'Nothing is running.', data: { stopped: [] } };
    }
    if (names.length > 0) {
      const result = await supervisor.stop(names);
      return changedTable('stop', names, result);
    }
    const before = await supervisor.status();
    const running = before.services.filter((service) => service.pid !== undefined).map((service) => service.name);
    await showUntilStopped(supervisor, this.output, () => supervisor.shutdown(this.flags.now));
    return { type: 'text', content: `Stopped ${running.join(', ') || 'the supervisor'}.`, data: { stopped: running } };
  }
}

/** A supervisor that was killed leaves its services running: "nothing is running" would be untrue. */
async function refuseLeftBehind(context: CommandContext): Promise<void> {
  const { servicesLeftBehind } = await import('../../../lib/app/supervisor/left-behind.ts');
  const left = await servicesLeftBehind((await context.instance()).id);
  if (left.length === 0) return;
  throw new ConflictError(leftRunning(left), {
    hint: 'A start takes over what runs; then it can be stopped',
    next: ['infra services start', 'infra services stop'],
    data: { services: left },
  });
}
