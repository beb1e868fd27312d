import { AuditReader, findArtifact } from '../../domain/governance/index.ts';
import type { Queryable } from '../../infra/database/connection.ts';
import type { Actor } from '../../shared/actor.ts';
import { type Artifact, artifactSchema } from '../../shared/artifact.ts';
import { NotFoundError, TooLargeError } from '../../shared/errors.ts';

/**
 * What a call returned, typed as the tool returned it.
 * @throws NotFoundError when there is no such call for the actor, or nothing is kept of it; TooLargeError when it was too
 *   large to be kept
 */
export async function artifactOf(database: Queryable, actor: Actor, executionId: string): Promise<Artifact> {
  const entry = await new AuditReader(database).show(actor, executionId);
  const kept = await findArtifact(database, entry.executionId);
  if (kept === undefined) {
    throw new NotFoundError('No artifact of this call is kept.', {
      hint: 'It returned none, or the time for which they are kept is over.',
      next: [`admin audit show ${entry.executionId}`],
    });
  }
  if (kept.artifact === undefined) {
    throw new TooLargeError(`The artifact (${kept.type}, ${kept.bytes} bytes) was too large to be kept.`);
  }
  return artifactSchema.parse(kept.artifact);
}
