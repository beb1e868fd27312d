import { boolean } from '@oclif/core/flags';
import { BaseCommand } from '../../../entry/cli/base-command.ts';
import { validationOf } from '../../../entry/cli/configuration.ts';
import { filesTable } from '../../../entry/cli/views/validation.ts';
import type { Artifact } from '../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../lib/shared/command.ts';

export default class ListConfig extends BaseCommand<typeof ListConfig> {
  static override summary = 'List the configuration files that are read';
  static override examples = [
    '<%= config.bin %> admin config list',
    '<%= config.bin %> admin config list --errors-only',
  ];
  static override declaration: CommandDeclaration = { effect: 'read', permission: 'admin', needs: 'profile' };
  static override flags = { 'errors-only': boolean({ summary: 'Only files with findings' }) };

  protected async execute(): Promise<Artifact> {
    return filesTable(await validationOf(this.context), this.flags['errors-only']);
  }
}
