import { BaseCommand } from '../../../entry/cli/base-command.ts';
import type { Artifact } from '../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../lib/shared/command.ts';
import { UnauthenticatedError } from '../../../lib/shared/errors.ts';
import { formatDate } from '../../../lib/shared/text/cells.ts';

export default class Show extends BaseCommand<typeof Show> {
  static override summary = 'Show the sign-in that this CLI keeps';
  static override examples = ['<%= config.bin %> admin session show'];
  static override declaration: CommandDeclaration = {
    effect: 'read',
    permission: 'anonymous',
    needs: 'profile',
    localOnly: true,
  };

  protected async execute(): Promise<Artifact> {
    const { keptSession } = await import('../../../lib/app/sign-in.ts');
    const kept = await keptSession(this.context);
    const next = ['admin session login'];
    if (kept === undefined) throw new UnauthenticatedError('Not signed in', { next });
    if (Date.parse(kept.expiresAt) <= Date.now()) {
      throw new UnauthenticatedError(`The sign-in of ${kept.userName} ended at ${formatDate(kept.expiresAt)}`, {
        next,
      });
    }
    return {
      type: 'presentation_card',
      title: `Signed in as ${kept.userName}`,
      sections: [
        { heading: 'Opens', content: kept.audience },
        { heading: 'Scopes', content: kept.scopes.join(' ') },
        { heading: 'Expires', content: formatDate(kept.expiresAt) },
      ],
      data: {
        user: kept.userName,
        audience: kept.audience,
        scopes: kept.scopes,
        expires_at: kept.expiresAt,
        session_id: kept.sessionId,
      },
    };
  }
}
