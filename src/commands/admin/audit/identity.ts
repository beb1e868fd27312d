import { integer, string } from '@oclif/core/flags';
import { BaseCommand } from '../../../entry/cli/base-command.ts';
import { moment } from '../../../entry/cli/flags.ts';
import { identityEventsTable } from '../../../entry/cli/views/identity-events.ts';
import type { Artifact } from '../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../lib/shared/command.ts';
import { type IdentityEventType, identityEventTypes } from '../../../lib/shared/identity-event.ts';

export default class AuditIdentity extends BaseCommand<typeof AuditIdentity> {
  static override summary = 'List sign-ins, grants, consents, tokens and keys';
  static override description =
    'What happened to who may do what, the newest first; nobody can change it afterwards. An admin sees all of it, everybody ' +
    'else what is about them.';
  static override examples = [
    '<%= config.bin %> admin audit identity --limit 20',
    '<%= config.bin %> admin audit identity --user ada --since 7d',
    '<%= config.bin %> admin audit identity --type sign_in_failed --json',
  ];
  static override declaration: CommandDeclaration = { effect: 'read', permission: 'user', needs: 'database' };
  static override flags = {
    user: string({ helpValue: '<user>', summary: 'About this user, or done by them: id, name or address' }),
    client: string({ helpValue: '<id>', summary: 'With this client' }),
    type: string({ options: identityEventTypes, summary: 'Events of this type' }),
    since: moment({ summary: 'Events since then' }),
    until: moment({ summary: 'Events until then' }),
    limit: integer({ min: 1, max: 500, default: 50, helpValue: '<number>', summary: 'How many at most' }),
    cursor: string({ helpValue: '<cursor>', summary: 'Go on where the list before ended' }),
  };

  protected async execute(): Promise<Artifact> {
    const { identityAudit } = await import('../../../lib/app/access/identity-audit.ts');
    const filter = { ...this.flags, type: this.flags.type as IdentityEventType | undefined };
    return identityEventsTable(
      await identityAudit(await this.context.database(), await this.context.currentActor(), filter),
    );
  }
}
