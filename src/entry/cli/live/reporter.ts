import type { ServiceStatus, SupervisorEvent } from '../../../lib/app/supervisor/status.ts';
import type { Output } from '../output/output.ts';
import type { CliSession } from '../session.ts';
import { eventLine } from './plain.ts';
import { advance, emptyView, type Phase, refreshed, type StartupView } from './startup.ts';
import type { LiveView } from './view.ts';

/** Shows a start while it goes on: drawn at a terminal, else a line for each event; both on standard error. */
export interface Reporter {
  event(event: SupervisorEvent): void;
  /** The statuses as they are now, for what events don't carry (the last log line). */
  refresh(services: readonly ServiceStatus[]): void;
  readonly drawn: boolean;
  close(): Promise<void>;
}

/**
 * Whether a picture can be drawn: both standard input and output must be terminals. Without the former ink throws, and
 * without the latter somebody else reads the result.
 */
export function canDraw({ stdin, stdout, stderr, json, env, unasked }: CliSession): boolean {
  const terminals = stdin.isTTY === true && stdout.isTTY === true && stderr.isTTY === true;
  // A pipeline or an agent may have a pseudo-terminal; a picture that draws itself anew is nothing to read for them.
  const person = unasked?.because !== 'pipeline' && unasked?.because !== 'agent';
  return terminals && person && !json && env['TERM'] !== 'dumb' && !env['CI'];
}

/** A reporter for this run. In JSON mode there is none to be seen. */
export async function openReporter(output: Output, phases: readonly Phase[]): Promise<Reporter> {
  const { session } = output;
  if (!canDraw(session)) return plainReporter(output);
  const { LiveView } = await import('./view.ts');
  const first = emptyView(phases);
  return drawnReporter(new LiveView(session.stderr, first), first, output);
}

function plainReporter(output: Output): Reporter {
  let begun = false;
  return {
    drawn: false,
    event(event) {
      begun ||= event.type === 'transition';
      // A boot that failed before it started anything has nothing to stop.
      if (!begun && (event.type === 'stopping' || event.type === 'stopped')) return;
      const line = output.session.json ? undefined : eventLine(event);
      if (line !== undefined) output.note(line);
    },
    refresh() {},
    async close() {},
  };
}

function drawnReporter(live: LiveView, first: StartupView, output: Output): Reporter {
  let view = first;
  let closed = false;
  const show = (next: StartupView): void => {
    view = next;
    live.show(view);
  };
  return {
    drawn: true,
    event: (event) => show(advance(view, event)),
    refresh: (services) => show(refreshed(view, services)),
    async close() {
      if (closed) return;
      closed = true;
      // The result names the times; what stays on the screen need not say them again.
      live.show({ ...view, phases: [] });
      await live.close();
      output.note('');
    },
  };
}
