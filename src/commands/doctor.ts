import { BaseCommand } from '../entry/cli/base-command.ts';
import { checksTable } from '../entry/cli/views/checks.ts';
import type { Artifact } from '../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../lib/shared/command.ts';
import { PreconditionError } from '../lib/shared/errors.ts';

export default class Doctor extends BaseCommand<typeof Doctor> {
  static override summary = 'Check the installation and say how to mend it';
  static override description =
    'Checks in the order in which things stand on each other. A system that is not running is a warning; ' +
    'a check that fails gives the exit code 6.';
  static override examples = ['<%= config.bin %> doctor', '<%= config.bin %> doctor --json'];
  static override declaration: CommandDeclaration = { effect: 'read', permission: 'admin', needs: 'none' };

  protected async execute(): Promise<Artifact> {
    const { runChecks } = await import('../lib/app/doctor/checks.ts');
    const results = await runChecks(this.context);
    const failed = results.filter((result) => result.state === 'fail');
    if (failed.length > 0) {
      const shell = [...new Set(failed.flatMap((check) => check.shell ?? []))];
      this.verdict = new PreconditionError(
        `${failed.length} of ${results.length} checks failed: ${failed.map((check) => `${check.name} (${check.detail})`).join('; ')}`,
        {
          next: [...new Set(failed.flatMap(({ fix }) => fix ?? []))],
          ...(shell.length === 0 ? {} : { hint: `Run: ${shell.join('; ')}` }),
        },
      );
    }
    return checksTable(results, (command) => this.output.runnable(command));
  }
}
