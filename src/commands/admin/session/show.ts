import { BaseCommand } from '../../../entry/cli/base-command.ts';
import { cameBy } from '../../../entry/cli/views/sign-ins.ts';
import type { InstanceSignIn } from '../../../lib/infra/config/sign-in-store.ts';
import type { Artifact } from '../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../lib/shared/command.ts';
import { UnauthenticatedError } from '../../../lib/shared/errors.ts';
import { formatDate } from '../../../lib/shared/text/cells.ts';

export default class Show extends BaseCommand<typeof Show> {
  static override summary = 'Show which profile is active and why, and who you are';
  static override examples = ['<%= config.bin %> admin session show'];
  static override declaration: CommandDeclaration = {
    effect: 'read',
    permission: 'anonymous',
    needs: 'profile',
    localOnly: true,
  };

  protected async execute(): Promise<Artifact> {
    const { keptSession } = await import('../../../lib/app/sign-in.ts');
    const { originInWords } = await import('../../../lib/app/sessions.ts');
    const { context } = this;
    const [active, { tenant }, kept] = [
      await context.activeProfile(),
      await context.instance(),
      await keptSession(context),
    ];
    const next = ['admin session login'];
    const ended = kept !== undefined && Date.parse(kept.expiresAt) <= Date.now();
    // Which profile is active is told in any case; that nobody is signed in is the outcome.
    if (kept === undefined) this.verdict = new UnauthenticatedError('Not signed in', { next });
    else if (ended) {
      this.verdict = new UnauthenticatedError(
        `The sign-in of ${kept.userName} ended at ${formatDate(kept.expiresAt)}`,
        { next },
      );
    }
    const profile = { heading: 'Profile', content: `${active.name}\n${originInWords(active.from, active.file)}` };
    const remote = await this.#atTheAddress();
    const facts = {
      profile: active.name,
      profile_from: active.from,
      profile_file: active.file ?? null,
      tenant,
      at_address: remote === undefined ? null : { instance: remote.origin, user: remote.user, by: remote.by },
    };
    const also =
      remote === undefined
        ? []
        : [{ heading: 'Also', content: `${remote.user} at ${remote.origin}, ${cameBy(remote)} (cloud auth whoami)` }];
    if (kept === undefined) {
      return {
        type: 'presentation_card',
        title: 'Not signed in',
        sections: [profile, { heading: 'Tenant', content: tenant }, ...also],
        data: { ...facts, signed_in: false },
      };
    }
    return {
      type: 'presentation_card',
      title: ended ? `${kept.userName} was signed in` : `Signed in as ${kept.userName}`,
      sections: [
        profile,
        { heading: 'Tenant', content: tenant },
        { heading: 'Signed in', content: 'as the owner of this machine, by the control socket (admin session login)' },
        { heading: 'Opens', content: kept.audience },
        { heading: 'Scopes', content: kept.scopes.join(' ') },
        { heading: ended ? 'Ended' : 'Expires', content: formatDate(kept.expiresAt) },
        ...also,
      ],
      data: {
        ...facts,
        signed_in: !ended,
        by: 'control_socket',
        user: kept.userName,
        audience: kept.audience,
        scopes: kept.scopes,
        expires_at: kept.expiresAt,
        session_id: kept.sessionId,
        renew_from: kept.renewFrom ?? null,
      },
    };
  }

  /** The sign-in of cloud auth login to the address of this profile, if there is one. */
  async #atTheAddress(): Promise<(InstanceSignIn & { readonly origin: string }) | undefined> {
    const { SignInStore } = await import('../../../lib/infra/config/sign-in-store.ts');
    const all = await new SignInStore(this.context.options.env).list();
    if (all.size === 0) return undefined;
    const origin = await this.context.externalUrl();
    const found = all.get(origin);
    return found === undefined ? undefined : { ...found, origin };
  }
}
