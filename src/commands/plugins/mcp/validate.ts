import { string } from '@oclif/core/args';
import { boolean } from '@oclif/core/flags';
import { BaseCommand } from '../../../entry/cli/base-command.ts';
import { Interrupts } from '../../../entry/cli/interrupt.ts';
import { fleetValidationText } from '../../../entry/cli/views/fleet-validation.ts';
import { validationFailure } from '../../../entry/cli/views/validation.ts';
import type { Artifact } from '../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../lib/shared/command.ts';

export default class McpValidate extends BaseCommand<typeof McpValidate> {
  static override summary = 'Check MCP servers as a start would';
  static override description =
    'Files, modules, programs, secrets, tools and their schemas, and declared tables: everything at once, each finding ' +
    'with its place. Of a server that runs the connection is tried as well. A finding gives the exit code 6.';
  static override examples = [
    '<%= config.bin %> plugins mcp validate',
    '<%= config.bin %> plugins mcp validate systemprompt',
    '<%= config.bin %> plugins mcp validate --all --json',
  ];
  // It loads modules and asks for programs of this machine.
  static override declaration: CommandDeclaration = {
    effect: 'read',
    permission: 'admin',
    needs: 'profile',
    localOnly: true,
  };
  static override args = {
    server: string({ ignoreStdin: true, description: 'A server; all that are enabled when none is named' }),
  };
  static override flags = { all: boolean({ summary: 'Also those that are not enabled' }) };

  protected async execute(): Promise<Artifact> {
    const { validateFleet } = await import('../../../lib/app/fleet/validate.ts');
    const { server } = this.args;
    if (server !== undefined) {
      const { unknownServer } = await import('../../../lib/app/identity.ts');
      if (!(await this.context.mcpServers()).some(({ name }) => name === server)) throw unknownServer(server);
    }
    using interrupts = new Interrupts();
    const validation = await validateFleet(this.context, { server, all: this.flags.all === true }, interrupts.signal);
    this.verdict = validationFailure(validation, false);
    return fleetValidationText(validation, this.verdict === undefined);
  }
}
