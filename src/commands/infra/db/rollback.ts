import { boolean, integer, string } from '@oclif/core/flags';
import { BaseCommand } from '../../../entry/cli/base-command.ts';
import { confirmed } from '../../../entry/cli/confirm.ts';
import { withCommandDatabase } from '../../../entry/cli/database-access.ts';
import { serverPlace } from '../../../entry/cli/server-place.ts';
import { rolledBackTable } from '../../../entry/cli/views/migrations.ts';
import type { Artifact } from '../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../lib/shared/command.ts';
import { UsageError } from '../../../lib/shared/errors.ts';

export default class DbRollback extends BaseCommand<typeof DbRollback> {
  static override summary = 'Take back the last migrations';
  static override description =
    'By the part of their file below "-- Down Migration", the last one first, each in a transaction of its own. A ' +
    'migration without that part is not taken back: restore a backup.';
  static override examples = [
    '<%= config.bin %> infra db rollback --dry-run',
    '<%= config.bin %> infra db rollback --extension mcp:notes --to 2',
  ];
  static override declaration: CommandDeclaration = {
    effect: 'destructive',
    permission: 'admin',
    needs: 'database',
    localOnly: true,
  };
  static override flags = {
    steps: integer({ min: 1, max: 1000, helpValue: '<number>', summary: 'How many; one unless told' }),
    to: integer({ min: 0, helpValue: '<number>', summary: 'Down to this number, which stays; with --extension' }),
    extension: string({ helpValue: '<id>', summary: 'Only those of this extension, such as mcp:notes' }),
    'dry-run': boolean({ summary: 'List what would be taken back, and change nothing' }),
    yes: boolean({ char: 'y', summary: 'Take it back without asking' }),
  };
  protected override readonly confirmsItself = true;

  protected async execute(): Promise<Artifact> {
    const { flags, context, output } = this;
    const { session } = output;
    if (flags.to !== undefined && flags.steps !== undefined)
      throw new UsageError('--to and --steps exclude each other');
    if (flags.to !== undefined && flags.extension === undefined)
      throw new UsageError('--to needs --extension: each extension numbers its own migrations');
    const place = await serverPlace(context);
    const servers = await context.mcpServers();
    const { planRollback } = await import('../../../lib/app/database/rollback.ts');
    const { refuseOneWay, rollBack } = await import('../../../lib/infra/database/rollback.ts');
    const wish = { extension: flags.extension, to: flags.to, steps: flags.steps ?? 1 };
    return await withCommandDatabase(context, output, { purpose: 'The database is being rolled back' }, async () => {
      const plan = await planRollback(place, servers, wish);
      refuseOneWay(plan);
      const names = plan.map(({ file }) => ({ extension: file.extension, name: file.name }));
      if (flags['dry-run'] || plan.length === 0) return rolledBackTable(names, 'WOULD BE TAKEN BACK');
      const list = names.map(({ extension, name }) => `${extension}/${name}`).join(', ');
      const question = `Take back ${list}? What they keep is lost.`;
      await confirmed({ id: 'infra:db:rollback', effect: 'destroys data', question }, flags, session);
      const done: { extension: string; name: string; ms: number }[] = [];
      await rollBack(plan, ({ extension, name }, ms) => done.push({ extension, name, ms }));
      return rolledBackTable(done, 'TAKEN BACK');
    });
  }
}
