import { BaseCommand } from '../../../entry/cli/base-command.ts';
import type { Artifact } from '../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../lib/shared/command.ts';

export default class Logout extends BaseCommand<typeof Logout> {
  static override summary = 'Sign out and revoke the sign-in that this CLI keeps';
  static override examples = ['<%= config.bin %> admin session logout'];
  static override declaration: CommandDeclaration = {
    effect: 'write',
    permission: 'anonymous',
    needs: 'supervisor',
    localOnly: true,
  };

  protected async execute(): Promise<Artifact> {
    const { signOut } = await import('../../../lib/app/sign-in.ts');
    const kept = await signOut(this.context);
    if (kept === undefined) return { type: 'text', content: 'Not signed in.', data: { signed_out: false } };
    return {
      type: 'text',
      content: `Signed out ${kept.userName}.`,
      data: { signed_out: true, session_id: kept.sessionId },
    };
  }
}
