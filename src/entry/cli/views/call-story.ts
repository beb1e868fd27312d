import type { CallStory } from '../../../lib/app/logs/call-story.ts';
import type { LogEntry } from '../../../lib/app/logs/entries.ts';
import type { PresentationCardArtifact } from '../../../lib/shared/artifact.ts';
import { auditCard } from './audit.ts';
import { entryFacts, entryText } from './log-entries.ts';

/** A call with its lines and the changes around it. */
export function storyCard(story: CallStory, missing: string | undefined): PresentationCardArtifact {
  const { call, trace, lines, events, more } = story;
  const card =
    call === undefined
      ? { type: 'presentation_card' as const, title: `Trace ${trace}`, sections: [] }
      : auditCard(call);
  const notes = [
    ...(missing === undefined ? [] : [missing]),
    ...(more ? [`More lines: infra logs search ${trace}`] : []),
  ];
  return {
    ...card,
    sections: [
      ...card.sections,
      { heading: 'Lines', content: shown(lines, 'No line names this call.') },
      ...(call === undefined ? [] : [{ heading: 'Services around it', content: shown(events, 'Nothing changed.') }]),
      ...(notes.length === 0 ? [] : [{ heading: 'Note', content: notes.join('\n') }]),
    ],
    data: {
      ...('data' in card ? { call: card.data } : {}),
      trace,
      lines: lines.map(entryFacts),
      events: events.map(entryFacts),
      ...(missing === undefined ? {} : { missing }),
    },
  };
}

function shown(entries: readonly LogEntry[], none: string): string {
  const width = Math.max(0, ...entries.map(({ service }) => service.length));
  return entries.length === 0 ? none : entries.map((entry) => entryText(entry, width)).join('\n');
}
