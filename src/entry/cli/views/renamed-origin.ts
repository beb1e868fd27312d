import type { RenamePlan } from '../../../lib/app/rename-origin/plan.ts';
import type { LiveSessions } from '../../../lib/domain/auth/index.ts';
import type { PresentationCardArtifact, TextArtifact } from '../../../lib/shared/artifact.ts';
import { formatDate } from '../../../lib/shared/text/cells.ts';

interface Circumstances {
  /** What the profile's file gets, and when it is in force. */
  readonly change: TextArtifact;
  readonly done: boolean;
  readonly runnable: (command: string) => string;
}

/** People read no more than this of a list; programs have all of it. */
const shownAtMost = 20;

/** What a new address of the instance changes, or has changed. */
export function renameCard(plan: RenamePlan, { change, done, runnable }: Circumstances): PresentationCardArtifact {
  const { from, to, issuer, rpId } = plan;
  const sections = [
    { heading: done ? 'Written' : 'Would be written', content: change.content },
    {
      heading: 'Issuer',
      content: issuer.changes ? `${issuer.before} → ${issuer.after}` : `${issuer.after}, as before`,
    },
    { heading: 'Addresses', content: addresses(plan) },
    { heading: 'Passkeys are for', content: `${rpId.before ?? 'none'} → ${rpId.after ?? 'none'}` },
    { heading: 'Passkeys that stop working', content: passkeys(plan.lostPasskeys) },
    ...(plan.foundPasskeys.length === 0
      ? []
      : [{ heading: 'Passkeys that work again', content: passkeys(plan.foundPasskeys) }]),
    ...(plan.lockedOut.length === 0
      ? []
      : [
          {
            heading: 'Users without a passkey then',
            content: `${lines(plan.lockedOut.map((user) => runnable(`admin users link ${user}`)))}\n${afterwards(done)}`,
          },
        ]),
    { heading: 'Sign-ins that end', content: ends(plan) },
    { heading: 'Trusted beside it', content: plan.trusted.after.join('\n') || 'no other address' },
    ...(plan.uses.clients.length === 0
      ? []
      : [{ heading: 'Applications answered at the old address', content: clients(plan) }]),
    ...(plan.foreignAudiences.length === 0
      ? []
      : [
          {
            heading: 'Other issuers have to name another audience',
            content: lines(
              plan.foreignAudiences.map(
                ({ what, issuer: by, before, after }) => `${what} from ${by}: ${before} → ${after}`,
              ),
            ),
          },
        ]),
    ...(plan.notes.length === 0 ? [] : [{ heading: 'Look at', content: plan.notes.join('\n') }]),
    ...(done ? [] : [{ heading: 'Nothing was changed', content: `To carry it out: --yes` }]),
  ];
  return {
    type: 'presentation_card',
    title: done ? `The address is ${to} now` : `The address would be ${to}`,
    subtitle: `it ${done ? 'was' : 'is'} ${from}`,
    sections,
    data: { renamed: done, ...facts(plan), change: change.data ?? {} },
  };
}

function facts(plan: RenamePlan): Record<string, unknown> {
  const passkey = ({ id, userName, name, rpId, lastUsedAt }: RenamePlan['lostPasskeys'][number]) => ({
    id,
    user: userName,
    name,
    rp_id: rpId,
    last_used_at: lastUsedAt?.toISOString() ?? null,
  });
  return {
    from: plan.from,
    to: plan.to,
    issuer: { before: plan.issuer.before, after: plan.issuer.after },
    addresses: plan.addresses,
    rp_id: { before: plan.rpId.before ?? null, after: plan.rpId.after ?? null },
    passkeys_lost: plan.lostPasskeys.map(passkey),
    passkeys_found: plan.foundPasskeys.map(passkey),
    users_without_passkey: plan.lockedOut,
    sessions: plan.uses.sessions,
    signed_tokens_end: plan.signedTokensEnd,
    personal_tokens: { count: plan.uses.personalTokens, end: plan.personalTokensEnd },
    trusted: plan.trusted,
    clients: plan.uses.clients.map(({ id, name, kind, redirectUris }) => ({
      id,
      name,
      kind,
      redirect_uris: redirectUris,
    })),
    foreign_audiences: plan.foreignAudiences,
    notes: plan.notes,
  };
}

/** Metadata and endpoints follow from the address: their number helps nobody who reads. */
function addresses(plan: RenamePlan): string {
  const named = plan.addresses.filter(({ kind }) => kind === 'audience' || kind === 'federation');
  const all = named.map(({ what, before, after }) => `${what}: ${before} → ${after}`);
  return `${lines(all)}\nmetadata documents and endpoints begin with it likewise`;
}

function passkeys(all: RenamePlan['lostPasskeys']): string {
  if (all.length === 0) return 'none';
  return lines(
    all.map(({ userName, name, lastUsedAt }) => {
      const used = lastUsedAt === undefined ? 'never used' : `last used ${formatDate(lastUsedAt.toISOString())}`;
      return `${userName}: ${name}, ${used}`;
    }),
  );
}

function afterwards(done: boolean): string {
  return done
    ? 'Each makes a link that lets the user in once, to make another'
    : 'Afterwards each makes a link that lets the user in once, to make another';
}

const kinds: Readonly<Record<LiveSessions['kind'], string>> = {
  browser: 'in browsers',
  local: 'of the owner of this machine (admin session login signs in again)',
  oauth: 'of connected applications, which ask their users again',
  service: 'of service accounts, which get new tokens by themselves at the new address',
  token: 'of personal access tokens',
};

function ends({ uses, personalTokensEnd, signedTokensEnd }: RenamePlan): string {
  const of = uses.sessions
    // Browsers and applications have nothing for the new address, whatever becomes of the old one's tokens.
    .filter(({ kind }) => kind === 'browser' || kind === 'oauth' || (kind !== 'token' && signedTokensEnd))
    .map(({ kind, count, users }) => `${count} ${kinds[kind]}${users > 1 ? `, ${users} users` : ''}`);
  const tokens = `${uses.personalTokens} personal access tokens`;
  const personal = personalTokensEnd ? `${tokens}: they are bound to the old address` : undefined;
  const all = [...of, ...(uses.personalTokens > 0 && personal !== undefined ? [personal] : [])];
  const kept = uses.personalTokens > 0 && !personalTokensEnd ? [`${tokens} go on: the old address is kept`] : [];
  return [...all, ...kept].join('\n') || 'none';
}

function clients({ uses }: RenamePlan): string {
  return lines(
    uses.clients.map(({ name, kind, redirectUris }) => {
      const what = kind === 'builtin' ? 'is changed with it' : 'is left as it is';
      return `${name}: ${redirectUris.join(', ')}, ${what}`;
    }),
  );
}

function lines(all: readonly string[]): string {
  const rest = all.length - shownAtMost;
  return [...all.slice(0, shownAtMost), ...(rest > 0 ? [`and ${rest} more (--json has all)`] : [])].join('\n');
}
