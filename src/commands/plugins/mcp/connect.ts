import { string as argument } from '@oclif/core/args';
import { string } from '@oclif/core/flags';
import { BaseCommand } from '../../../entry/cli/base-command.ts';
import { secretValue } from '../../../entry/cli/secret-value.ts';
import type { Artifact } from '../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../lib/shared/command.ts';
import { UsageError } from '../../../lib/shared/errors.ts';

export default class McpConnect extends BaseCommand<typeof McpConnect> {
  static override summary = 'Give an MCP server what it wants of each user';
  static override description =
    'A key for a server elsewhere (upstream_auth with per: user), or a variable for a process of your own (user_variables). ' +
    'The value comes from standard input, a file or a variable; at a terminal it is asked for and not shown. It is kept ' +
    'encrypted, goes to that server alone, and is used from the next call on. Others give theirs on their account page.';
  static override examples = [
    '<%= config.bin %> plugins mcp connect crm < key.txt',
    '<%= config.bin %> plugins mcp connect files TOKEN --from-file token.txt',
    '<%= config.bin %> plugins mcp connect files TOKEN --user ada --from-env TOKEN',
  ];
  static override declaration: CommandDeclaration = {
    effect: 'write',
    permission: 'admin',
    needs: 'database',
    localOnly: true,
  };
  static override args = {
    server: argument({ required: true, ignoreStdin: true, description: 'Name of the server' }),
    name: argument({ ignoreStdin: true, description: 'Which of the things that it wants; not needed for one' }),
  };
  static override flags = {
    user: string({ helpValue: '<user>', summary: 'For this user instead of the owner: name, mail address or id' }),
    'from-file': string({
      exclusive: ['from-env'],
      helpValue: '<path>',
      summary: 'Take the value from this file (- is standard input)',
    }),
    'from-env': string({ helpValue: '<variable>', summary: 'Take the value from this environment variable' }),
  };

  protected async execute(): Promise<Artifact> {
    const { server, name: given } = this.args;
    const { credentialsCommand } = await import('../../../lib/app/upstream/for-command.ts');
    const { credentials, userId } = await credentialsCommand(this.context, this.flags.user);
    const { brought } = credentials.needs(server);
    const name = given ?? (brought.length === 1 ? brought[0] : undefined);
    if (name === undefined || !brought.includes(name)) {
      throw new UsageError(
        given === undefined ? `The server ${server} wants several things` : `It takes no such thing`,
        {
          hint: `Name one of ${brought.join(', ')}.`,
        },
      );
    }
    const value = await secretValue(name, this.flags, this.output.session, 'plugins:mcp:connect');
    await credentials.bring({ userId }, server, new Map([[name, value]]));
    const wanted = (await credentials.list(userId)).find((one) => one.server === server)?.wanted ?? [];
    const absent = wanted.filter(({ since }) => since === undefined).map((one) => one.name);
    const rest = absent.length === 0 ? [] : [`It still wants ${absent.join(', ')}`];
    return {
      type: 'text',
      content: [`${name} goes to ${server} from the next call on`, ...rest].join('\n'),
      data: { server, name, connected: absent.length === 0, missing: absent },
    };
  }
}
