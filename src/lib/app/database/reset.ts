import { withSession } from '../../infra/database/session.ts';
import { adminOf, type DatabasePlace } from './connections.ts';
import { becomeMember, ownersOf } from './owners.ts';
import { beginAlone, takeAllAway } from './remake.ts';

/**
 * Takes away everything of the core and of the MCP servers, in one transaction.
 * @throws PreconditionError naming who uses the database
 */
export async function emptyDatabase(place: DatabasePlace): Promise<void> {
  const { admin, database } = await adminOf(place);
  const secretNames = await place.secrets.names();
  await withSession(admin, { applicationName: 'systemprompt reset' }, async (session) => {
    const owners = await ownersOf(session, database, secretNames);
    await becomeMember(session, owners);
    await beginAlone(session, 'The reset');
    await takeAllAway(session, owners);
    await session.query('COMMIT');
  });
}
