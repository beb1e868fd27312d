import { boolean, integer, string } from '@oclif/core/flags';
import { BaseCommand } from '../../../../entry/cli/base-command.ts';
import { changed } from '../../../../entry/cli/config-change.ts';
import { changesOf } from '../../../../entry/cli/config-section.ts';
import type { Artifact } from '../../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../../lib/shared/command.ts';

export default class SetServer extends BaseCommand<typeof SetServer> {
  static override summary = 'Change how the API is reached';
  static override examples = [
    '<%= config.bin %> admin config server set --port 8090 --dry-run',
    '<%= config.bin %> admin config server set --host 0.0.0.0 --external-url https://prompt.example.com',
  ];
  static override declaration: CommandDeclaration = {
    effect: 'write',
    permission: 'admin',
    needs: 'profile',
    localOnly: true,
  };
  static override flags = {
    host: string({ helpValue: '<address>', summary: 'Name or address that the API listens on' }),
    port: integer({ min: 1, max: 65_535, helpValue: '<number>', summary: 'TCP port of the API' }),
    'external-url': string({ helpValue: '<url>', summary: 'Address under which clients reach it' }),
    workers: integer({ min: 1, max: 64, helpValue: '<number>', summary: 'How many API processes run side by side' }),
    'dry-run': boolean({ summary: 'Only check it and show what would change' }),
  };

  protected async execute(): Promise<Artifact> {
    const changes = changesOf(this.flags, {
      host: ['server', 'host'],
      port: ['server', 'port'],
      'external-url': ['server', 'external_url'],
      workers: ['server', 'workers'],
    });
    return await changed(this.context, this.output, changes, this.flags['dry-run'] === true);
  }
}
