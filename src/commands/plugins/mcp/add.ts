import { string } from '@oclif/core/args';
import { boolean, string as option } from '@oclif/core/flags';
import { BaseCommand } from '../../../entry/cli/base-command.ts';
import { changed } from '../../../entry/cli/config-change.ts';
import type { Artifact } from '../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../lib/shared/command.ts';
import { ConflictError, UsageError } from '../../../lib/shared/errors.ts';

export default class McpAdd extends BaseCommand<typeof McpAdd> {
  static override summary = 'Add an MCP server by name, address or command';
  static override description =
    'Writes services/mcp/<name>.yaml, after a check of everything as it would be. A name of the registry looks like ' +
    'io.github.acme/files; an address is that of a server elsewhere, or of a server.json; anything else is a command ' +
    'that speaks MCP by its input and output. What needs a secret first is written with enabled: false.';
  static override examples = [
    `<%= config.bin %> plugins mcp add 'npx -y @modelcontextprotocol/server-filesystem /srv' --name files`,
    '<%= config.bin %> plugins mcp add https://mcp.example.com/mcp --dry-run',
    '<%= config.bin %> plugins mcp add http://10.0.0.5:8080/mcp --private-network',
    '<%= config.bin %> plugins mcp add io.github.acme/files@1.2.0 --set path=/srv',
  ];
  // It names the programs that are run.
  static override declaration: CommandDeclaration = {
    effect: 'write',
    permission: 'admin',
    needs: 'profile',
    localOnly: true,
  };
  static override args = {
    source: string({ required: true, ignoreStdin: true, description: 'Registry name, address, file or command' }),
  };
  static override flags = {
    name: option({ summary: 'What it is called here; else it follows from the source', helpValue: '<name>' }),
    scope: option({ multiple: true, default: ['user'], summary: 'What every caller needs', helpValue: '<scope>' }),
    set: option({
      multiple: true,
      default: [],
      summary: 'A value that the entry leaves open',
      helpValue: '<name>=<value>',
    }),
    registry: option({
      env: 'SYSTEMPROMPT_MCP_REGISTRY',
      summary: 'The registry that is asked for names; else the public one',
      helpValue: '<url>',
    }),
    'private-network': boolean({ summary: 'The address may be of a private network, and by http' }),
    'dry-run': boolean({ summary: 'Only check it and show what would be written' }),
  };

  protected async execute(): Promise<Artifact> {
    const { draftFrom, draftText, publicRegistry } = await import('../../../lib/app/fleet/source.ts');
    const { scope, registry = publicRegistry, name } = this.flags;
    const values = new Map(this.flags.set.map((text) => pairOf(text)));
    const { cwd } = this.context.options;
    const draft = await draftFrom(this.args.source, { name, scopes: scope, values, registry, cwd });
    const path = ['mcp_servers', draft.name];
    const yaml = this.flags['private-network'] === true ? onPrivateNetwork(draft.yaml) : draft.yaml;
    if ((await this.context.mcpServers()).some((server) => server.name === draft.name)) {
      throw new ConflictError(`There is an MCP server ${draft.name} already`, {
        hint: 'Give this one another name with --name',
        next: ['plugins mcp list'],
      });
    }
    const store = await this.context.secrets();
    const kept = new Set(await store.names());
    const missing = draft.secrets.filter((secret) => !kept.has(secret) && !kept.has(`mcp.${draft.name}.${secret}`));
    const value = missing.length === 0 ? yaml : { ...yaml, enabled: false };
    const artifact = await changed(this.context, this.output, [{ path, value }], this.flags['dry-run'] === true);
    if (artifact.type !== 'text') return artifact;
    const steps = [
      ...missing.map((secret) => `cloud secrets set ${secret} --server ${draft.name}`),
      ...(missing.length === 0 ? [] : [`admin config set mcp_servers.${draft.name}.enabled true`]),
    ].map((command) => this.output.runnable(command));
    const then =
      steps.length === 0 ? [] : ['It is not enabled yet: it needs a secret first', ...steps.map((step) => `  ${step}`)];
    return {
      ...artifact,
      content: [draftText({ ...draft, yaml: value }), ...artifact.content.split('\n').slice(1), ...then].join('\n'),
      data: { ...artifact.data, server: draft.name, missing_secrets: missing },
    };
  }
}

/** @throws UsageError for what is no server elsewhere */
function onPrivateNetwork(yaml: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  if (yaml['type'] === 'external') return { ...yaml, private_network: true };
  throw new UsageError('--private-network goes with the address of a server elsewhere');
}

function pairOf(text: string): readonly [string, string] {
  const at = text.indexOf('=');
  if (at > 0) return [text.slice(0, at), text.slice(at + 1)];
  throw new UsageError('A value has the form name=value', { hint: 'Write --set path=/srv' });
}
