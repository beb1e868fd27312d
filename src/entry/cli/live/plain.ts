import { configurationSentence } from '../../../lib/app/supervisor/configuration-sentence.ts';
import type { SupervisorEvent } from '../../../lib/app/supervisor/status.ts';
import { formatDuration } from '../../../lib/shared/text/cells.ts';
import { harmless } from '../../../lib/shared/text/width.ts';

/** One line for an event, for people without a terminal that can be drawn on; undefined when it says nothing new. */
export function eventLine(event: SupervisorEvent): string | undefined {
  switch (event.type) {
    case 'transition':
      return transitionLine(event);
    case 'log':
      return harmless(event.service === undefined ? event.message : `${event.service}: ${event.message}`);
    case 'phase':
      return event.ms < 1 ? undefined : `${event.name} ${formatDuration(event.ms)}`;
    case 'configuration':
      return harmless(`configuration ${configurationSentence(event)}`);
    case 'stopping':
      return `systemprompt stopping${event.now ? ' at once' : ''}`;
    case 'stopped':
      return 'systemprompt stopped';
    default:
      return undefined;
  }
}

function transitionLine(event: Extract<SupervisorEvent, { type: 'transition' }>): string {
  const { service, from, to, status, reason } = event;
  const why = reason === undefined ? '' : `: ${harmless(reason)}`;
  // The state stays as it is: only whether requests are routed to it has turned.
  if (event.event === 'not_serving') return `${service} not serving${why}`;
  if (event.event === 'serving') return `${service} serving again`;
  if (to !== 'ready') return `${service} ${to}${['failed', 'unhealthy', 'backoff'].includes(to) ? why : ''}`;
  const facts = [
    // What answers again after it was unhealthy did not become ready anew.
    ...(status.readyMs !== undefined && from !== 'unhealthy' ? [`in ${formatDuration(status.readyMs)}`] : []),
    ...(status.pid === undefined ? [] : [`pid ${status.pid}`]),
    ...(status.port === undefined ? [] : [`port ${status.port}`]),
    ...(status.adopted === true ? ['found running'] : []),
    ...(status.detail === undefined ? [] : [harmless(status.detail)]),
  ];
  return `${service} ready${facts.length > 0 ? `: ${facts.join(', ')}` : ''}`;
}
