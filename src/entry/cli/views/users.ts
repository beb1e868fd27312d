import type { ListedSession } from '../../../lib/domain/auth/index.ts';
import type { User } from '../../../lib/domain/users/index.ts';
import type { PresentationCardArtifact, TableArtifact } from '../../../lib/shared/artifact.ts';
import { formatDate } from '../../../lib/shared/text/cells.ts';

/** A page of users. */
export function usersTable(users: readonly User[], count: number, next: string | undefined): TableArtifact {
  return {
    type: 'table',
    columns: [
      { name: 'name', column_type: 'string' },
      { name: 'display_name', label: 'CALLED', column_type: 'string' },
      { name: 'email', column_type: 'string' },
      { name: 'kind', column_type: 'string' },
      { name: 'status', column_type: 'string' },
      { name: 'roles', column_type: 'string' },
      { name: 'created_at', label: 'CREATED', column_type: 'date' },
      { name: 'id', column_type: 'string' },
    ],
    items: users.map((user) => ({
      name: user.name,
      display_name: user.displayName,
      email: user.email ?? null,
      kind: user.kind,
      status: user.status,
      roles: user.roles.join(', '),
      created_at: user.createdAt.toISOString(),
      id: user.id,
    })),
    count,
    ...(next === undefined ? {} : { next_cursor: next }),
    empty: 'No users found.',
  };
}

/** Everything that is known of one user. @param next what to do with a new one, as it is typed */
export function userCard(
  user: User,
  sessions: readonly ListedSession[] | undefined,
  next?: { readonly heading: string; readonly command: string },
): PresentationCardArtifact {
  const date = (at: Date | undefined): string => (at === undefined ? '–' : formatDate(at.toISOString()));
  const status = [
    user.status,
    ...(user.statusChangedAt === undefined ? [] : [`since ${date(user.statusChangedAt)}`]),
    ...(user.statusReason === undefined ? [] : [`because: ${user.statusReason}`]),
  ];
  const verified = user.emailVerifiedAt === undefined ? 'not confirmed' : `confirmed ${date(user.emailVerifiedAt)}`;
  return {
    type: 'presentation_card',
    title: user.displayName === user.name ? user.name : `${user.name}: ${user.displayName}`,
    subtitle: user.id,
    sections: [
      { heading: 'Status', content: status.join(', ') },
      { heading: 'Kind', content: user.kind === 'person' ? 'person' : 'service account' },
      { heading: 'Roles', content: user.roles.join(', ') || 'none' },
      { heading: 'Mail', content: user.email === undefined ? 'none' : `${user.email} (${verified})` },
      ...(next === undefined ? [] : [{ heading: next.heading, content: `  ${next.command}` }]),
      ...(sessions === undefined ? [] : [{ heading: 'Signed in', content: signedIn(sessions, date) }]),
      { heading: 'Time', content: `created ${date(user.createdAt)}, changed ${date(user.updatedAt)}` },
    ],
    data: { ...userFacts(user), ...(sessions === undefined ? {} : { sessions: sessions.map(sessionFacts) }) },
  };
}

function signedIn(sessions: readonly ListedSession[], date: (at: Date) => string): string {
  if (sessions.length === 0) return 'nowhere';
  return sessions.map((one) => `${one.client} (${one.kind}), last used ${date(one.lastSeenAt)}`).join('\n');
}

/** A user for programs. */
export function userFacts(user: User): Record<string, unknown> {
  return {
    id: user.id,
    name: user.name,
    display_name: user.displayName,
    email: user.email ?? null,
    email_verified_at: user.emailVerifiedAt?.toISOString() ?? null,
    kind: user.kind,
    status: user.status,
    status_reason: user.statusReason ?? null,
    roles: user.roles,
    access_version: user.accessVersion,
    created_at: user.createdAt.toISOString(),
    updated_at: user.updatedAt.toISOString(),
  };
}

function sessionFacts(session: ListedSession): Record<string, string | null> {
  return {
    session: session.id,
    kind: session.kind,
    client: session.client,
    state: session.state,
    last_seen_at: session.lastSeenAt.toISOString(),
    created_at: session.createdAt.toISOString(),
    expires_at: session.expiresAt.toISOString(),
    user_agent: session.userAgent ?? null,
  };
}

/** The sign-ins of one user. */
export function sessionsTable(user: User, sessions: readonly ListedSession[]): TableArtifact {
  return {
    type: 'table',
    title: `Sign-ins of ${user.name}`,
    columns: [
      { name: 'session', column_type: 'string' },
      { name: 'kind', column_type: 'string' },
      { name: 'client', column_type: 'string' },
      { name: 'state', column_type: 'string' },
      { name: 'last_seen_at', label: 'LAST USED', column_type: 'date' },
      { name: 'created_at', label: 'BEGAN', column_type: 'date' },
      { name: 'expires_at', label: 'ENDS', column_type: 'date' },
    ],
    items: sessions.map((session) => {
      const { user_agent: _, ...shown } = sessionFacts(session);
      return shown;
    }),
    count: sessions.length,
    empty: 'No sign-ins found.',
  };
}
