import { string } from '@oclif/core/args';
import { boolean } from '@oclif/core/flags';
import { BaseCommand } from '../../../entry/cli/base-command.ts';
import { follows } from '../../../entry/cli/config-change.ts';
import { changesText } from '../../../entry/cli/views/config-changes.ts';
import { renameCard } from '../../../entry/cli/views/renamed-origin.ts';
import type { Artifact } from '../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../lib/shared/command.ts';

export default class RenameOrigin extends BaseCommand<typeof RenameOrigin> {
  static override summary = 'Give the instance a new address; first says what ends';
  static override description =
    'Passkeys are made for the name in the address, and tokens for the address: the command names the passkeys that would stop ' +
    'working, who would be left without one, and what else would end. It changes nothing without --yes. Nothing is deleted: ' +
    'with the old address given back, passkeys and sign-ins are good again.';
  static override examples = [
    '<%= config.bin %> admin identity rename-origin https://prompt.example.com',
    '<%= config.bin %> admin identity rename-origin https://prompt.example.com --keep-old --yes',
  ];
  static override declaration: CommandDeclaration = {
    effect: 'destructive',
    permission: 'admin',
    needs: 'database',
    localOnly: true,
  };
  static override args = {
    address: string({ required: true, ignoreStdin: true, description: 'The new address: scheme, host and port' }),
  };
  static override flags = {
    'keep-old': boolean({ summary: 'Requests may go on naming the old address (security.audiences)' }),
    yes: boolean({ char: 'y', summary: 'Carry it out; without it nothing is changed' }),
  };
  /** Without `--yes` it only tells: there is nothing to confirm. */
  protected override readonly confirmsItself = true;

  protected async execute(): Promise<Artifact> {
    const { context, flags, output } = this;
    const { planRename } = await import('../../../lib/app/rename-origin/plan.ts');
    const { changeConfiguration } = await import('../../../lib/app/config/change.ts');
    const [profile, database, servers] = [
      await context.profile(),
      await context.database(),
      await context.mcpServers(),
    ];
    const request = { address: this.args.address, keepOld: flags['keep-old'] === true };
    const plan = await planRename({ database, profile, servers }, request);
    const done = flags.yes === true;
    const profileName = (await context.activeProfile()).name;
    const change = { instance: await context.instance(), profileName, env: context.options.env };
    const applied = done
      ? await (async () => {
          const { renameOrigin } = await import('../../../lib/app/rename-origin/rename.ts');
          return await renameOrigin(plan, { database, change, actor: await context.currentActor() });
        })()
      : await changeConfiguration(change, plan.changes, { dryRun: true });
    const runnable = (command: string): string => output.runnable(command);
    const text = changesText(applied, {
      dryRun: !done,
      follows: await follows(context, applied.files),
      overridden: [],
      runnable,
    });
    return renameCard(plan, { change: text, done, runnable });
  }
}
