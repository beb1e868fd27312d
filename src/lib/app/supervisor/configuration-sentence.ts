import type { SupervisorEvent } from './status.ts';

// Light: the views say it too.

const shownFindings = 3;

/** What became of the files, for people: the predicate of a sentence about the configuration. */
export function configurationSentence({
  state,
  steps,
  issues = [],
  error,
}: Pick<Extract<SupervisorEvent, { type: 'configuration' }>, 'state' | 'steps' | 'issues' | 'error'>): string {
  const list = steps.map(({ kind, name }) => `${kind} ${name}`).join(', ');
  if (state === 'refused') return `can't be brought into force: ${error?.message ?? 'no reason is known'}`;
  if (state === 'pending') return `has changed and waits for a reconcile: ${list}`;
  if (state === 'current') return list === '' ? 'is in force, and nothing had to be done' : `is in force: ${list}`;
  const findings = issues.slice(0, shownFindings).map((i) => `${i.file}:${i.line}:${i.column} ${i.message}`);
  const more = issues.length > shownFindings ? `; and ${issues.length - shownFindings} more` : '';
  return `is invalid, and what was valid stays in force: ${findings.join('; ')}${more}`;
}
