import { boolean, string } from '@oclif/core/flags';
import { BaseCommand } from '../../../entry/cli/base-command.ts';
import { duration, durationFlag } from '../../../entry/cli/flags.ts';
import type { Artifact } from '../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../lib/shared/command.ts';
import { UsageError } from '../../../lib/shared/errors.ts';
import { formatDate } from '../../../lib/shared/text/cells.ts';

export default class Login extends BaseCommand<typeof Login> {
  static override summary = 'Sign in, or get a token for one MCP server';
  static override description =
    'Without --server the sign-in is kept for this CLI. With --server the token opens that server and nothing else; ' +
    'it is printed and kept nowhere. Tokens last an hour unless --ttl says less.';
  static override examples = [
    '<%= config.bin %> admin session login',
    '<%= config.bin %> admin session login --server systemprompt --token-only',
    '<%= config.bin %> admin session login --server systemprompt --ttl 10m',
  ];
  static override declaration: CommandDeclaration = {
    effect: 'write',
    permission: 'anonymous',
    needs: 'supervisor',
    localOnly: true,
  };
  static override flags = {
    server: string({ helpValue: '<name>', summary: 'Open this MCP server only' }),
    ttl: duration({ summary: 'How long the token is good' }),
    scope: string({
      multiple: true,
      multipleNonGreedy: true,
      helpValue: '<scope>',
      summary: 'Ask for this scope only; may be repeated',
    }),
    'token-only': boolean({ summary: 'Print the token and nothing else' }),
  };

  protected async execute(): Promise<Artifact> {
    const { signIn } = await import('../../../lib/app/sign-in.ts');
    const { server, ttl, scope } = this.flags;
    const login = await signIn(this.context, {
      ...(server === undefined ? {} : { server }),
      ...(ttl === undefined ? {} : { ttlSeconds: ttl }),
      ...(scope === undefined ? {} : { scopes: scope }),
    }).catch((error: unknown) => {
      throw tooLong(error);
    });
    const facts = { audience: login.audience, scopes: login.scopes, expires_at: login.expiresAt, user: login.user };
    if (this.flags['token-only']) return { type: 'copy_paste_text', content: login.token, data: facts };
    const shown = server === undefined ? [] : [{ heading: 'Token', content: `  ${login.token}` }];
    return {
      type: 'presentation_card',
      title: `Signed in as ${login.user}`,
      sections: [
        ...shown,
        { heading: 'Opens', content: login.audience },
        { heading: 'Scopes', content: login.scopes.join(' ') },
        { heading: 'Expires', content: formatDate(login.expiresAt) },
      ],
      data: server === undefined ? facts : { ...facts, token: login.token },
    };
  }
}

/** The issuer's refusal of a life that is too long, in the terms of the flag; any other error as it is. */
function tooLong(error: unknown): unknown {
  if (!(error instanceof UsageError)) return error;
  const { ttlSeconds, max } = error.data;
  if (typeof ttlSeconds !== 'number' || typeof max !== 'number') return error;
  return new UsageError(`--ttl may be at most ${durationFlag(max)}`, {
    hint: `Give a shorter time, such as --ttl ${durationFlag(Math.min(max, 600))}`,
    data: error.data,
  });
}
