import { boolean } from '@oclif/core/flags';
import { BaseCommand } from '../../../entry/cli/base-command.ts';
import { validationOf } from '../../../entry/cli/configuration.ts';
import { validationFailure, validationText } from '../../../entry/cli/views/validation.ts';
import type { Artifact } from '../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../lib/shared/command.ts';

export default class ValidateConfig extends BaseCommand<typeof ValidateConfig> {
  static override summary = 'Check the profile and services/, all at once';
  static override description =
    'Everything that is wrong, each finding with its place and what to write instead. Nothing that runs is touched. ' +
    'A finding gives the exit code 6, a warning only with --strict.';
  static override examples = [
    '<%= config.bin %> admin config validate',
    '<%= config.bin %> admin config validate --strict --json',
  ];
  static override declaration: CommandDeclaration = { effect: 'read', permission: 'admin', needs: 'profile' };
  static override flags = { strict: boolean({ summary: 'Let warnings fail as well' }) };

  protected async execute(): Promise<Artifact> {
    const validation = await validationOf(this.context);
    this.verdict = validationFailure(validation, this.flags.strict);
    return validationText(validation, this.verdict === undefined);
  }
}
