import type { ServiceStatus, SupervisorEvent } from '../../../lib/app/supervisor/status.ts';
import { formatDuration } from '../../../lib/shared/text/cells.ts';

export interface Phase {
  readonly name: string;
  readonly ms: number;
}

/** All that the view of a start shows; a value, changed by events only. */
export interface StartupView {
  readonly services: readonly ServiceStatus[];
  readonly phases: readonly Phase[];
  /** The last thing that the supervisor had to say. */
  readonly message: string | undefined;
}

/** What is known before the supervisor says anything: the phases that ran before it (`SYSTEMPROMPT_PHASES`). */
export function emptyView(phases: readonly Phase[]): StartupView {
  return { services: [], phases, message: undefined };
}

/** The view after an event. */
export function advance(view: StartupView, event: SupervisorEvent): StartupView {
  switch (event.type) {
    case 'transition':
      return { ...view, services: replaced(view.services, event.status) };
    case 'phase':
      return { ...view, phases: [...view.phases, { name: event.name, ms: event.ms }] };
    case 'log':
      return { ...view, message: event.message };
    default:
      return view;
  }
}

/** The view with the statuses as the supervisor has them now; the order in which services appeared is kept. */
export function refreshed(view: StartupView, services: readonly ServiceStatus[]): StartupView {
  return { ...view, services: services.reduce(replaced, view.services) };
}

function replaced(services: readonly ServiceStatus[], status: ServiceStatus): readonly ServiceStatus[] {
  const index = services.findIndex((service) => service.name === status.name);
  return index === -1 ? [...services, status] : services.with(index, status);
}

/**
 * The times of the phases in lines of at most `width` columns, broken between phases only. What took less than a
 * millisecond is left out: nothing was done in it.
 */
export function phaseLines(phases: readonly Phase[], width: number): string[] {
  const lines: string[] = [];
  for (const { name, ms } of phases.filter((phase) => phase.ms >= 1)) {
    const item = `${name} ${formatDuration(ms)}`;
    const joined = lines.length === 0 ? item : `${lines.at(-1)} · ${item}`;
    if (lines.length > 0 && joined.length <= width) lines.pop();
    lines.push(joined.length <= width ? joined : item);
  }
  return lines;
}

/** The phases that a wrapper (npm start) ran and timed before us; what does not fit is ignored, it is decoration. */
export function phasesFrom(env: NodeJS.ProcessEnv): Phase[] {
  try {
    const value: unknown = JSON.parse(env['SYSTEMPROMPT_PHASES'] ?? '[]');
    if (!Array.isArray(value)) return [];
    return value.filter(
      (phase): phase is Phase =>
        typeof phase?.name === 'string' && typeof phase?.ms === 'number' && phase.name.length < 40,
    );
  } catch {
    return [];
  }
}
