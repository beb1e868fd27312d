import type { SupervisorClient } from '../../../lib/app/supervisor/client.ts';
import type { Output } from '../output/output.ts';
import { eventLine } from './plain.ts';

/** Runs a shutdown and tells on standard error what ends meanwhile. */
export async function showUntilStopped(
  client: SupervisorClient,
  output: Output,
  shutdown: () => Promise<void>,
): Promise<void> {
  const since = new Date().toISOString();
  const ended = new AbortController();
  const showing = (async () => {
    for await (const event of client.events(ended.signal)) {
      if (event.at < since || output.session.json) continue;
      const line = eventLine(event);
      if (line !== undefined && event.type !== 'stopped') output.note(line);
    }
  })();
  try {
    await shutdown();
  } finally {
    ended.abort();
    await showing.catch(() => {}); // what is shown on the way is decoration; the shutdown itself reports its failure
  }
}
