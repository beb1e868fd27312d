import { boolean } from '@oclif/core/flags';
import { BaseCommand } from '../../../entry/cli/base-command.ts';
import { reconciledTable, reconcileFailure } from '../../../entry/cli/views/reconciled.ts';
import type { SupervisorClient } from '../../../lib/app/supervisor/client.ts';
import type { Artifact } from '../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../lib/shared/command.ts';
import { ForbiddenError, isNotRunning } from '../../../lib/shared/errors.ts';

export default class Reconcile extends BaseCommand<typeof Reconcile> {
  static override summary = 'Bring what runs to what is configured now';
  static override description =
    'Reads the profile, services/ and the built artefacts again. What is new is started, what has changed is replaced, what ' +
    'is no longer configured is ended, and everything else is left alone. An invalid configuration changes nothing.';
  static override examples = [
    '<%= config.bin %> infra services reconcile --dry-run',
    '<%= config.bin %> infra services reconcile',
  ];
  static override declaration: CommandDeclaration = { effect: 'write', permission: 'admin', needs: 'supervisor' };
  static override flags = {
    'dry-run': boolean({ summary: 'Only show what would be done; also without a running supervisor' }),
  };

  protected async execute(): Promise<Artifact> {
    const dryRun = this.flags['dry-run'];
    if (!dryRun && this.output.session.delegated) {
      throw new ForbiddenError(
        'Only on the machine itself can infra services reconcile be run: it may end its own way back',
        {
          hint: 'Ask for the plan',
          next: ['infra services reconcile --dry-run'],
        },
      );
    }
    let supervisor: SupervisorClient;
    try {
      supervisor = await this.context.supervisor();
    } catch (error) {
      if (!dryRun || !isNotRunning(error)) throw error;
      return await this.#planOfStart();
    }
    await supervisor.status(); // one that hangs is found out at once
    const result = await supervisor.reconcile({ dryRun });
    const failure = reconcileFailure(result);
    if (!result.valid && failure !== undefined) throw failure;
    this.verdict = failure;
    return reconciledTable(result, { dryRun });
  }

  /** What the next start would do. */
  async #planOfStart(): Promise<Artifact> {
    const { planStart } = await import('../../../lib/app/supervisor/offline-plan.ts');
    const { name } = await this.context.activeProfile();
    const { steps, unseen } = await planStart(await this.context.instance(), name);
    const notes = ['No supervisor runs: this is what infra services start would do', ...unseen];
    return reconciledTable({ steps, services: [], failed: [] }, { dryRun: true, notes });
  }
}
