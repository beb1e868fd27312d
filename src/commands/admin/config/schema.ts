import { string } from '@oclif/core/args';
import { boolean } from '@oclif/core/flags';
import { BaseCommand } from '../../../entry/cli/base-command.ts';
import type { Artifact } from '../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../lib/shared/command.ts';
import { ForbiddenError, NotFoundError } from '../../../lib/shared/errors.ts';

export default class ConfigSchema extends BaseCommand<typeof ConfigSchema> {
  static override summary = 'Print the JSON Schema of a configuration file';
  static override description =
    'Without a kind: which kinds there are. --write puts all of them into the project and tells the editor ' +
    '(.vscode/settings.json), so that it completes and checks the files.';
  static override examples = [
    '<%= config.bin %> admin config schema',
    '<%= config.bin %> admin config schema mcp --json',
    '<%= config.bin %> admin config schema --write',
  ];
  static override declaration: CommandDeclaration = { effect: 'write', permission: 'admin', needs: 'none' };
  static override args = { kind: string({ ignoreStdin: true, description: 'Kind of file (profile, mcp, agents)' }) };
  static override flags = { write: boolean({ summary: 'Put the schemas where editors find them' }) };

  protected async execute(): Promise<Artifact> {
    const { schemaFiles, schemaText, writeSchemas } = await import('../../../lib/app/config/schema-files.ts');
    if (this.flags.write) {
      if (this.output.session.delegated) throw new ForbiddenError('Schemas are written on the machine itself only');
      const { root } = await this.context.instance();
      const files = await writeSchemas(root);
      return { type: 'text', content: files.map((file) => `${file} written`).join('\n'), data: { root, files } };
    }
    const kinds = schemaFiles();
    const { kind } = this.args;
    if (kind === undefined) {
      return {
        type: 'table',
        columns: ['kind', 'place'].map((name) => ({ name, column_type: 'string' as const })),
        items: kinds.map(({ kind, place }) => ({ kind, place })),
        count: kinds.length,
      };
    }
    const found = kinds.find((candidate) => candidate.kind === kind);
    if (found === undefined) {
      const { nearest } = await import('../../../lib/shared/nearest.ts');
      const names = kinds.map((candidate) => candidate.kind);
      const meant = nearest(kind, names, 1);
      throw new NotFoundError('There is no such kind of file', {
        hint: meant.length > 0 ? `Did you mean ${meant[0]}?` : `There is: ${names.join(', ')}`,
        next: ['admin config schema'],
      });
    }
    const text = await schemaText(found);
    const data = { kind, place: found.place, schema: JSON.parse(text) as unknown };
    return { type: 'copy_paste_text', content: text.trimEnd(), language: 'json', data };
  }
}
