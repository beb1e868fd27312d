import { boolean } from '@oclif/core/flags';
import { BaseCommand } from '../../../entry/cli/base-command.ts';
import { shortDigest } from '../../../entry/cli/views/built.ts';
import type { Artifact } from '../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../lib/shared/command.ts';

export default class McpListPackages extends BaseCommand<typeof McpListPackages> {
  static override summary = "List the project's MCP extensions and their builds";
  static override description =
    'The extensions that build mcp compiles: folders below extensions/ with a manifest.yaml, and modules that only ' +
    'services/mcp/ names. "changed" means that the sources are newer than what is built.';
  static override examples = [
    '<%= config.bin %> plugins mcp list-packages',
    '<%= config.bin %> plugins mcp list-packages --raw',
  ];
  static override declaration: CommandDeclaration = { effect: 'read', permission: 'admin', needs: 'none' };
  static override flags = { raw: boolean({ summary: 'Print the names alone, one a line' }) };

  protected async execute(): Promise<Artifact> {
    const { listPackages } = await import('../../../lib/app/build/list.ts');
    const packages = await listPackages(this.context.options);
    if (this.flags.raw) {
      const names = packages.map(({ name }) => name);
      return { type: 'text', content: names.join('\n'), data: { names } };
    }
    return {
      type: 'table',
      columns: [
        { name: 'name', label: 'EXTENSION', column_type: 'string' },
        { name: 'state', column_type: 'string' },
        { name: 'version', column_type: 'string' },
        { name: 'folder', column_type: 'string' },
        { name: 'servers', column_type: 'string' },
        { name: 'digest', column_type: 'string' },
      ],
      items: packages.map(({ name, state, folder, servers, record }) => ({
        name,
        state,
        version: record?.server.version ?? null,
        folder,
        servers: servers.join(' '),
        digest: record === undefined ? null : shortDigest(record.digest),
      })),
      count: packages.length,
      empty: 'No extensions found.',
    };
  }
}
