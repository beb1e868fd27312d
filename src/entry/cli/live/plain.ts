import type { ServiceStatus, SupervisorEvent } from '../../../lib/app/supervisor/status.ts';
import { formatDuration } from '../../../lib/shared/text/cells.ts';
import { harmless } from '../../../lib/shared/text/width.ts';

/** One line for an event, for people without a terminal that can be drawn on; undefined when it says nothing new. */
export function eventLine(event: SupervisorEvent): string | undefined {
  switch (event.type) {
    case 'transition':
      return transitionLine(event.service, event.to, event.status, event.reason);
    case 'log':
      return harmless(event.service === undefined ? event.message : `${event.service}: ${event.message}`);
    case 'phase':
      return event.ms < 1 ? undefined : `${event.name} ${formatDuration(event.ms)}`;
    case 'stopping':
      return `systemprompt stopping${event.now ? ' at once' : ''}`;
    case 'stopped':
      return 'systemprompt stopped';
    default:
      return undefined;
  }
}

function transitionLine(service: string, to: string, status: ServiceStatus, reason: string | undefined): string {
  const facts = [
    ...(to === 'ready' && status.readyMs !== undefined ? [`in ${formatDuration(status.readyMs)}`] : []),
    ...(status.pid !== undefined && (to === 'ready' || to === 'starting') ? [`pid ${status.pid}`] : []),
    ...(status.port !== undefined && to === 'ready' ? [`port ${status.port}`] : []),
    ...(status.adopted === true && to === 'ready' ? ['found running'] : []),
    ...(status.detail !== undefined && to === 'ready' ? [harmless(status.detail)] : []),
    ...(reason !== undefined && ['failed', 'unhealthy', 'backoff'].includes(to) ? [harmless(reason)] : []),
  ];
  return `${service} ${to}${facts.length > 0 ? `: ${facts.join(', ')}` : ''}`;
}
