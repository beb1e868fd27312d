import type { ConnectionConfig } from '../../../infra/database/connection-config.ts';
import { withSession } from '../../../infra/database/session.ts';

/**
 * Has the positions of audit rows go on where they were, after the database came to another server. Before anybody writes.
 * @param owner the database as its owner, migrated
 */
export async function adoptServer(owner: ConnectionConfig): Promise<void> {
  await withSession(owner, { applicationName: 'systemprompt migrate' }, (session) =>
    session.query('SELECT audit.adopt_server()'),
  );
}
