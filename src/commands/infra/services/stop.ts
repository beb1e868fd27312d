import { string } from '@oclif/core/args';
import { boolean } from '@oclif/core/flags';
import { BaseCommand } from '../../../entry/cli/base-command.ts';
import { refuseOwnPath } from '../../../entry/cli/delegation.ts';
import { refuseLeftBehind, refuseUnknown } from '../../../entry/cli/left-behind.ts';
import { giveOrder } from '../../../entry/cli/live/order.ts';
import { showUntilStopped } from '../../../entry/cli/live/stopping.ts';
import { namedServices, orderFlags } from '../../../entry/cli/order-flags.ts';
import type { SupervisorClient } from '../../../lib/app/supervisor/client.ts';
import type { Artifact } from '../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../lib/shared/command.ts';
import { isNotRunning, TimeoutError } from '../../../lib/shared/errors.ts';

export default class Stop extends BaseCommand<typeof Stop> {
  static override summary = 'Stop everything, or the services that are named';
  static override description =
    'Without names it ends the supervisor too. With names the supervisor stays; what stands on a named service is stopped before it.';
  static override examples = [
    '<%= config.bin %> infra services stop',
    '<%= config.bin %> infra services stop mcp:systemprompt',
    '<%= config.bin %> infra services stop mcp --timeout 30s',
    '<%= config.bin %> infra services stop --now',
  ];
  static override declaration: CommandDeclaration = { effect: 'write', permission: 'admin', needs: 'supervisor' };
  static override args = {
    services: string({
      multiple: true,
      ignoreStdin: true,
      description: 'Names or kinds (api, mcp, database); all, and the supervisor, when none is named',
    }),
  };
  static override flags = {
    ...orderFlags,
    now: boolean({ summary: 'Kill instead of waiting for a graceful end' }),
  };

  protected async execute(): Promise<Artifact> {
    const names = namedServices('stop', this.args, this.flags);
    refuseOwnPath('stop', names, this.output.session);
    let supervisor: SupervisorClient;
    try {
      supervisor = await this.context.supervisor();
    } catch (error) {
      if (!isNotRunning(error)) throw error;
      await refuseLeftBehind(this.context, { done: 'stopped', command: 'infra services stop' });
      await refuseUnknown(this.context, names);
      return { type: 'text', content: 'Nothing is running.', data: { stopped: [] } };
    }
    if (names.length > 0) {
      const { table, failure } = await giveOrder('stop', supervisor, names, this.flags);
      this.verdict = failure;
      return table;
    }
    return await this.#everything(supervisor);
  }

  async #everything(supervisor: SupervisorClient): Promise<Artifact> {
    const { now, wait, timeout } = this.flags;
    const before = await supervisor.status();
    const running = before.services.filter((service) => service.pid !== undefined).map((service) => service.name);
    if (!wait) {
      await supervisor.request('POST', '/v1/shutdown', { now });
      const look = this.output.runnable('infra services status');
      return { type: 'text', content: `Stopping; look with ${look}`, data: { stopping: running } };
    }
    const stopped = showUntilStopped(supervisor, this.output, () => supervisor.shutdown(now, timeout * 1000));
    if (!(await within(stopped, timeout * 1000))) throw await this.#late(supervisor);
    return { type: 'text', content: `Stopped ${running.join(', ') || 'the supervisor'}.`, data: { stopped: running } };
  }

  async #late(supervisor: SupervisorClient): Promise<TimeoutError> {
    const { services } = await supervisor.status();
    const pending = services.filter(({ pid }) => pid !== undefined);
    const names = pending.map(({ name, state }) => `${name} (${state})`);
    return new TimeoutError(`Not stopped after ${this.flags.timeout} s: ${names.join(', ') || 'the supervisor'}`, {
      hint: 'It goes on; look with the first, kill with the second',
      next: ['infra services status', 'infra services stop --now'],
      data: { pending: pending.map(({ name }) => name) },
    });
  }
}

/** @returns whether the work was done in time; it goes on in any case */
async function within(work: Promise<void>, ms: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<false>();
  const timer = setTimeout(() => resolve(false), ms);
  try {
    return await Promise.race([work.then(() => true), promise]);
  } finally {
    clearTimeout(timer);
  }
}
