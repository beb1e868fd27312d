import { boolean, string } from '@oclif/core/flags';
import { BaseCommand } from '../../../entry/cli/base-command.ts';
import { namedInstance } from '../../../entry/cli/instance-address.ts';
import { signInCard } from '../../../entry/cli/views/sign-ins.ts';
import type { Artifact } from '../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../lib/shared/command.ts';
import { UnauthenticatedError } from '../../../lib/shared/errors.ts';

export default class CloudWhoAmI extends BaseCommand<typeof CloudWhoAmI> {
  static override summary = 'Show who you are at an instance';
  static override description =
    'The instance is asked whether it still takes the token, and what the token says is shown after its signature was ' +
    'verified. One that has ended is renewed. Who the owner of a local tenant is, admin session show tells.';
  static override examples = [
    '<%= config.bin %> cloud auth whoami',
    '<%= config.bin %> cloud auth whoami --url https://prompt.example.com',
    '<%= config.bin %> cloud auth whoami --url https://prompt.example.com --token-only',
  ];
  // A token that is near its end is renewed.
  static override declaration: CommandDeclaration = {
    effect: 'write',
    permission: 'anonymous',
    needs: 'none',
    localOnly: true,
  };
  static override flags = {
    url: string({ helpValue: '<address>', summary: 'Of the instance; that of the active profile without it' }),
    'token-only': boolean({ summary: 'Print the access token and nothing else' }),
  };

  protected async execute(): Promise<Artifact> {
    const { CloudSignIns, notSignedIn } = await import('../../../lib/app/cloud-auth/sign-ins.ts');
    const { SignInStore } = await import('../../../lib/infra/config/sign-in-store.ts');
    const store = new SignInStore(this.context.options.env);
    const all = await store.list();
    const { origin, tenant } = await namedInstance(this.context, this.flags.url, all);
    if (!all.has(origin)) {
      throw new UnauthenticatedError(`Not signed in to ${origin}`, {
        ...(tenant === undefined
          ? {}
          : { hint: 'What runs on this machine is yours without it, and admin session show says who you are there.' }),
        data: { instance: origin, kept: [...all.keys()].sort() },
        next: [`cloud auth login --url ${origin}`],
      });
    }
    const signIns = new CloudSignIns(store);
    if (this.flags['token-only']) {
      return { type: 'copy_paste_text', content: await signIns.token(origin), data: { instance: origin } };
    }
    const who = await signIns.whoAmI(origin);
    const signIn = (await store.list()).get(origin);
    if (signIn === undefined) throw notSignedIn(origin); // signed out meanwhile
    return signInCard(`Signed in as ${who.user}`, who, signIn);
  }
}
