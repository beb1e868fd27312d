import type { SupervisorClient } from '../../../lib/app/supervisor/client.ts';
import type { TextArtifact } from '../../../lib/shared/artifact.ts';
import { CancelledError, SupervisorUnavailableError } from '../../../lib/shared/errors.ts';
import type { Interrupts } from '../interrupt.ts';
import type { Output } from '../output/output.ts';
import { eventLine } from './plain.ts';

/**
 * Stays with a running instance and tells what happens, until it has stopped.
 *
 * @param after number of the last event that was shown already
 * @throws SupervisorUnavailableError when the supervisor ended without having stopped the services; CancelledError when
 *   a third signal said not to wait any longer
 */
export async function stayAttached(
  client: SupervisorClient,
  output: Output,
  after: number,
  interrupts: Interrupts,
): Promise<TextArtifact> {
  let stopped = false;
  for await (const event of client.events(interrupts.impatient)) {
    if (event.seq <= after) continue;
    const line = eventLine(event);
    if (line !== undefined && !output.session.json) output.note(line);
    if (event.type === 'stopped') stopped = true;
  }
  if (interrupts.impatient.aborted) {
    throw new CancelledError('Left without waiting for the end', {
      hint: 'Something may still be running; look with',
      next: ['infra services status', 'infra services stop --now'],
      data: { signal: interrupts.first },
    });
  }
  if (!stopped && interrupts.first === undefined) {
    throw new SupervisorUnavailableError('The supervisor ended without stopping the services', {
      hint: 'It was killed, or it crashed. What still runs goes on unsupervised; a start takes it over',
      next: ['infra services status', 'infra services start', 'infra services logs supervisor'],
    });
  }
  return { type: 'text', content: 'Stopped.' };
}
