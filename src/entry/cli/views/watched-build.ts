import { type Applied, applyBuilt } from '../../../lib/app/build/apply.ts';
import type { BuiltExtension } from '../../../lib/app/build/build.ts';
import type { BuildSession } from '../../../lib/app/build/session.ts';
import { type WatchRound, watchBuild } from '../../../lib/app/build/watch.ts';
import type { CommandContext } from '../../../lib/app/command-context.ts';
import type { TextArtifact } from '../../../lib/shared/artifact.ts';
import { type ConfigIssue, toAppError } from '../../../lib/shared/errors.ts';
import type { Output } from '../output/output.ts';
import { shortDigest } from './built.ts';

/** Shows a watching build as it goes, a line for each event; in JSON each is an object with `event` and `time`. */
export async function showWatch(
  output: Output,
  session: BuildSession,
  context: CommandContext,
  signal: AbortSignal,
): Promise<TextArtifact> {
  let builds = 0;
  for await (const round of watchBuild(session, signal)) {
    for (const result of round.results) if (result.state !== 'failed') showBuilt(output, result);
    if (round.issues.length > 0) showIssues(output, round.issues);
    builds += round.results.filter(({ state }) => state === 'built').length;
    const servers = changedServers(round);
    if (servers.length > 0) showApplied(output, await applied(context, session.root, servers));
    event(output, 'Waiting for changes', { event: 'waiting' });
  }
  return { type: 'text', content: `Built ${builds} times.`, data: { builds } };
}

function changedServers({ results }: WatchRound): string[] {
  return results.filter(({ changed }) => changed).flatMap(({ servers }) => servers);
}

/** A supervisor that is starting, or gone in this moment, does not end the watch: the next change asks again. */
async function applied(
  context: CommandContext,
  root: string,
  servers: readonly string[],
): Promise<Applied | { readonly error: string }> {
  try {
    return await applyBuilt(context, root, servers);
  } catch (error) {
    return { error: toAppError(error).message };
  }
}

function showBuilt(output: Output, { name, state, durationMs, record, changed, notes }: BuiltExtension): void {
  const digest = record === undefined ? '' : shortDigest(record.digest);
  const effect = state === 'built' && !changed ? ', the same code as before' : '';
  event(output, `${name} ${state} in ${durationMs} ms (${digest})${effect}`, {
    event: state,
    name,
    duration_ms: durationMs,
    digest: record?.digest,
    changed,
    notes,
  });
  if (!output.session.json) for (const note of notes) output.note(note);
}

function showIssues(output: Output, issues: readonly ConfigIssue[]): void {
  const lines = issues.map(({ file, line, column, message, hint }) => {
    const remedy = hint === undefined ? '' : `  ${hint}`;
    return `${file}:${line}:${column}  ${message}${remedy}`;
  });
  event(output, `${lines.join('\n')}\nNot built; what runs stays as it is.`, { event: 'failed', issues });
}

function showApplied(output: Output, outcome: Applied | { readonly error: string }): void {
  if ('error' in outcome) {
    event(output, `Not taken up: ${outcome.error}`, { event: 'not_applied', message: outcome.error });
    return;
  }
  if (outcome.outcome === 'invalid') {
    showIssues(output, outcome.issues);
    return;
  }
  const lines = outcome.services.map(({ name, state }) => `${name} ${state}`);
  if (outcome.outcome === 'not_running') lines.push('Nothing runs: it takes effect at the next start.');
  for (const name of outcome.failed) lines.push(`${name} did not come up in its new form`);
  if (outcome.waiting.length > 0) {
    const command = output.runnable('infra services reconcile');
    lines.push(`Other changes wait (${outcome.waiting.join(', ')}): ${command}`);
  }
  event(output, lines.join('\n'), { ...outcome, event: outcome.outcome });
}

function event(output: Output, text: string, facts: Readonly<Record<string, unknown>>): void {
  output.line(text, { time: new Date().toISOString(), ...facts });
}
