import { string } from '@oclif/core/args';
import { BaseCommand } from '../../../entry/cli/base-command.ts';
import { refuseOwnPath } from '../../../entry/cli/delegation.ts';
import { supervisorOrLeft } from '../../../entry/cli/left-behind.ts';
import { giveOrder } from '../../../entry/cli/live/order.ts';
import { notInForce } from '../../../entry/cli/not-in-force.ts';
import { namedServices, orderFlags } from '../../../entry/cli/order-flags.ts';
import type { Artifact } from '../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../lib/shared/command.ts';

export default class Restart extends BaseCommand<typeof Restart> {
  static override summary = 'Restart everything, or the services that are named';
  static override description =
    'Without names it is everything but the database. A name restarts that service alone: what stands on it is told, and stays.';
  static override examples = [
    '<%= config.bin %> infra services restart mcp:systemprompt',
    '<%= config.bin %> infra services restart mcp --timeout 1m',
    '<%= config.bin %> infra services restart --all --no-wait',
  ];
  static override declaration: CommandDeclaration = { effect: 'write', permission: 'admin', needs: 'supervisor' };
  static override args = {
    services: string({
      multiple: true,
      ignoreStdin: true,
      description: 'Names or kinds (api, mcp, database); all but the database when none is named',
    }),
  };
  static override flags = orderFlags;

  protected async execute(): Promise<Artifact> {
    const names = namedServices('restart', this.args, this.flags);
    refuseOwnPath('restart', names, this.output.session);
    const wanted = ['infra services restart', ...names].join(' ').slice(0, 200);
    const supervisor = await supervisorOrLeft(this.context, names, { done: 'restarted', command: wanted });
    if (names.some((name) => name.startsWith('mcp:'))) await this.#refuseNewOnes(names);
    const { result, table, failure } = await giveOrder('restart', supervisor, names, this.flags);
    this.verdict = failure;
    const notes = await notInForce(
      this.context,
      supervisor,
      result.services.map(({ name }) => name),
    );
    if (notes.length === 0) return table;
    const advice = `Bring it into force: ${this.output.runnable('infra services reconcile')}`;
    return { ...table, notes: [...(table.notes ?? []), ...notes, advice] };
  }

  /** @throws NotFoundError for a server whose file came after the start */
  async #refuseNewOnes(names: readonly string[]): Promise<void> {
    const status = await this.context.runningStatus();
    if (status === undefined) return;
    const known = new Set(status.services.map(({ name }) => name));
    const unknown = names.filter((name) => name.startsWith('mcp:') && !known.has(name));
    if (unknown.length === 0) return;
    const { notServed } = await import('../../../lib/app/not-served.ts');
    for (const name of unknown) {
      const refusal = await notServed(this.context, status, name.slice('mcp:'.length));
      if (refusal !== undefined) throw refusal;
    }
  }
}
