import { boolean } from '@oclif/core/flags';
import { BaseCommand } from '../../../entry/cli/base-command.ts';
import { confirmed } from '../../../entry/cli/confirm.ts';
import { leftoversCard } from '../../../entry/cli/views/cleanup.ts';
import type { Artifact } from '../../../lib/shared/artifact.ts';
import { artifactText } from '../../../lib/shared/artifact-text.ts';
import type { CommandDeclaration } from '../../../lib/shared/command.ts';
import { PartialError } from '../../../lib/shared/errors.ts';

export default class Cleanup extends BaseCommand<typeof Cleanup> {
  static override summary = 'Remove what nobody needs any more';
  static override description =
    'Processes of this instance that no supervisor has on record, stale sockets and run files, halves of interrupted ' +
    'writes, logs of old runs, and (for root) the database of instances whose project is gone. It lists them first.';
  static override examples = [
    '<%= config.bin %> infra services cleanup --dry-run',
    '<%= config.bin %> infra services cleanup --yes',
  ];
  static override declaration: CommandDeclaration = {
    effect: 'destructive',
    permission: 'admin',
    needs: 'none',
    localOnly: true,
  };
  static override flags = {
    'dry-run': boolean({ summary: 'List what would be removed, and remove nothing' }),
    yes: boolean({ char: 'y', summary: 'Remove it without asking' }),
  };
  protected override readonly confirmsItself = true;

  protected async execute(): Promise<Artifact> {
    const { flags, output } = this;
    const { session } = output;
    const { findLeftovers, removeLeftovers } = await import('../../../lib/app/cleanup/cleanup.ts');
    const { items, kept } = await findLeftovers(this.context);
    const found = leftoversCard('To be removed', items, kept);
    if (flags['dry-run'] || items.length === 0) return found;
    if (!session.json) output.note(artifactText(found, { width: session.width }));
    const question = `Remove ${items.length === 1 ? 'it' : `all ${items.length}`}? It can't be undone.`;
    await confirmed({ id: 'infra:services:cleanup', effect: 'destroys data', question }, flags, session);
    const { removed, failed } = await removeLeftovers(this.context, items);
    if (failed.length > 0) {
      const what = failed.map(({ item, error }) => `${item.what} (${error})`).join(', ');
      this.verdict = new PartialError(`${failed.length} of ${items.length} could not be removed: ${what}`, {
        next: ['infra services cleanup --dry-run', 'doctor'],
      });
    }
    return leftoversCard('Removed', removed, kept);
  }
}
