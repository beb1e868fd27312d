import { string } from '@oclif/core/args';
import { boolean } from '@oclif/core/flags';
import { BaseCommand } from '../../../entry/cli/base-command.ts';
import { refuseOwnPath } from '../../../entry/cli/delegation.ts';
import { showUntilStopped } from '../../../entry/cli/live/stopping.ts';
import { changedTable } from '../../../entry/cli/views/services.ts';
import type { SupervisorClient } from '../../../lib/app/supervisor/client.ts';
import { isNotRunning } from '../../../lib/app/supervisor/running.ts';
import type { Artifact } from '../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../lib/shared/command.ts';

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
