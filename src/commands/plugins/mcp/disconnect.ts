import { string as argument } from '@oclif/core/args';
import { boolean, string } from '@oclif/core/flags';
import { BaseCommand } from '../../../entry/cli/base-command.ts';
import { confirmDestruction } from '../../../entry/cli/confirm.ts';
import type { Artifact } from '../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../lib/shared/command.ts';

export default class McpDisconnect extends BaseCommand<typeof McpDisconnect> {
  static override summary = 'Erase what an MCP server was given, or the sign-in';
  static override description =
    'Its key or variables. A sign-in is revoked at its authorization server too, where there is a way to. What the server elsewhere knows of the key is not touched: revoke it there as well.';
  static override examples = [
    '<%= config.bin %> plugins mcp disconnect crm',
    '<%= config.bin %> plugins mcp disconnect crm --user ada --yes',
  ];
  static override declaration: CommandDeclaration = {
    effect: 'destructive',
    permission: 'admin',
    needs: 'database',
    localOnly: true,
  };
  static override args = {
    server: argument({ required: true, ignoreStdin: true, description: 'Name of the server' }),
  };
  static override flags = {
    user: string({ helpValue: '<user>', summary: 'Of this user instead of the owner: name, mail address or id' }),
    yes: boolean({ char: 'y', summary: 'Erase it without asking' }),
  };
  protected override readonly confirmsItself = true;

  protected async execute(): Promise<Artifact> {
    const { server } = this.args;
    const { signInCommand } = await import('../../../lib/app/upstream/for-command.ts');
    const signIn = await signInCommand(this.context, server, this.flags.user);
    await confirmDestruction('plugins:mcp:disconnect', this.flags, this.output.session);
    if (signIn !== undefined) {
      const { revoked } = await signIn.signIns.disconnect(signIn.by, server);
      const there = revoked ? 'and revoked there' : 'and could not be revoked there: remove it there as well';
      return {
        type: 'text',
        content: `The sign-in at ${server} is erased, ${there}`,
        data: { server, erased: ['sign_in'], revoked },
      };
    }
    const { credentialsCommand } = await import('../../../lib/app/upstream/for-command.ts');
    const { credentials, userId } = await credentialsCommand(this.context, this.flags.user);
    const erased = await credentials.takeBack({ userId }, server);
    return {
      type: 'text',
      content: `Erased ${erased.join(', ')}: nothing goes to ${server} any more`,
      data: { server, erased },
    };
  }
}
