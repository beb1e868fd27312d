import type { PersonalToken } from '../../../lib/domain/auth/index.ts';
import type { TableArtifact } from '../../../lib/shared/artifact.ts';

/** Personal access tokens, without what they are shown with. @param users names by id */
export function tokensTable(tokens: readonly PersonalToken[], users: ReadonlyMap<string, string>): TableArtifact {
  return {
    type: 'table',
    columns: [
      { name: 'name', column_type: 'string' },
      { name: 'user', column_type: 'string' },
      { name: 'resource', column_type: 'link' },
      { name: 'scopes', column_type: 'string' },
      { name: 'state', column_type: 'string' },
      { name: 'expires_at', label: 'EXPIRES', column_type: 'date' },
      { name: 'last_used_at', label: 'LAST USED', column_type: 'date' },
      { name: 'id', column_type: 'string' },
    ],
    items: tokens.map((token) => ({
      name: token.name,
      user: users.get(token.userId) ?? token.userId,
      resource: token.audience,
      scopes: token.scopes.join(' '),
      state: token.state,
      expires_at: token.expiresAt.toISOString(),
      last_used_at: token.lastUsedAt?.toISOString() ?? null,
      id: token.id,
    })),
    count: tokens.length,
    empty: 'No tokens found.',
  };
}

/** A token for programs, without what it is shown with. */
export function tokenFacts(token: PersonalToken): Record<string, unknown> {
  return {
    id: token.id,
    user: token.userId,
    session: token.sessionId,
    name: token.name,
    audience: token.audience,
    scopes: token.scopes,
    state: token.state,
    created_at: token.createdAt.toISOString(),
    expires_at: token.expiresAt.toISOString(),
  };
}
