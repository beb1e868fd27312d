import { string as argument } from '@oclif/core/args';
import { integer, string } from '@oclif/core/flags';
import { BaseCommand } from '../../../entry/cli/base-command.ts';
import { Interrupts } from '../../../entry/cli/interrupt.ts';
import { secretValue } from '../../../entry/cli/secret-value.ts';
import type { SignInForCommand } from '../../../lib/app/upstream/for-command.ts';
import type { Artifact } from '../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../lib/shared/command.ts';
import { CancelledError, PreconditionError, TimeoutError, UsageError } from '../../../lib/shared/errors.ts';

export default class McpConnect extends BaseCommand<typeof McpConnect> {
  static override summary = 'Give an MCP server what it wants, or sign in there';
  static override description =
    'A key for a server elsewhere (upstream_auth with per: user), or a variable for a process of your own (user_variables). ' +
    'The value comes from standard input, a file or a variable; at a terminal it is asked for and not shown. It is kept ' +
    'encrypted, goes to that server alone, and is used from the next call on. Others give theirs on their account page. ' +
    'At a server elsewhere with upstream_auth of type oauth its user signs in: the command opens the account page, or ' +
    'prints its address, and waits for as long as --wait says.';
  static override examples = [
    '<%= config.bin %> plugins mcp connect crm < key.txt',
    '<%= config.bin %> plugins mcp connect files TOKEN --from-file token.txt',
    '<%= config.bin %> plugins mcp connect files TOKEN --user ada --from-env TOKEN',
    '<%= config.bin %> plugins mcp connect tracker --wait 300',
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
    wait: integer({
      min: 0,
      max: 3_600,
      default: 600,
      helpValue: '<seconds>',
      summary: 'How long to wait for a sign-in',
    }),
  };

  protected async execute(): Promise<Artifact> {
    const { server, name: given } = this.args;
    const { signInCommand } = await import('../../../lib/app/upstream/for-command.ts');
    const signIn = await signInCommand(this.context, server, this.flags.user);
    if (signIn !== undefined) return await this.#signIn(server, signIn);
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

  /** Only its own browser can finish a sign-in: it begins and ends on the account page. */
  async #signIn(server: string, { now, url }: SignInForCommand): Promise<Artifact> {
    const before = await now();
    if (before === undefined) {
      throw new PreconditionError(`Nobody signs in at ${server} for this user`, {
        hint: 'The instance does it by itself, or an administrator for all callers.',
        next: [`plugins mcp show ${server}`],
      });
    }
    const { browserProgram, openInBrowser } = await import('../../../lib/infra/process/open-browser.ts');
    const { env } = this.context.options;
    const own = this.flags.user === undefined && !this.output.session.nonInteractive;
    const program = own ? browserProgram(env) : undefined;
    const opened = program !== undefined && (await openInBrowser(program, new URL(url), env));
    const said = opened ? 'The browser shows where to sign in. If it does not, open:' : 'Open in a browser:';
    if (this.output.session.json) this.output.line('', { event: 'browser', address: url, opened });
    else this.output.note(`${said}\n\n  ${url}\n`);
    const { setTimeout: sleep } = await import('node:timers/promises');
    using interrupts = new Interrupts();
    const deadline = performance.now() + this.flags.wait * 1_000;
    for (;;) {
      const grant = (await now())?.grant;
      if (grant !== undefined && grant.state === 'good' && grant.id !== before.grant?.id) {
        return {
          type: 'text',
          content: `Signed in at ${server}: it is used from the next call on`,
          data: { server, connected: true, issuer: grant.issuer, scopes: grant.scopes },
        };
      }
      if (interrupts.first !== undefined) throw new CancelledError('Interrupted; nobody waits any more');
      if (performance.now() >= deadline) {
        throw new TimeoutError(`Nobody signed in at ${server} within ${this.flags.wait} s`, {
          hint: `It goes on at ${url} all the same.`,
          data: { url },
        });
      }
      await sleep(500, undefined, { signal: interrupts.signal }).catch(() => undefined);
    }
  }
}
