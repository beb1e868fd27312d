import type { EditedProfile } from '../../../lib/app/profiles/edit.ts';
import type { ProfileEntry, ProfileSettings } from '../../../lib/app/profiles/overview.ts';
import type { Artifact, PresentationCardArtifact, TableArtifact } from '../../../lib/shared/artifact.ts';

const text = (name: string, label?: string) => ({
  name,
  ...(label === undefined ? {} : { label }),
  column_type: 'string' as const,
});

export function profilesTable(entries: readonly ProfileEntry[]): TableArtifact {
  return {
    type: 'table',
    title: 'Profiles',
    columns: [
      text('profile'),
      { name: 'active', column_type: 'boolean' },
      text('tenant'),
      text('target'),
      text('environment'),
      text('url'),
      text('state'),
    ],
    items: entries.map(({ name, active, profile, issues }) => ({
      profile: name,
      active,
      tenant: profile?.tenant ?? null,
      target: profile?.target ?? null,
      environment: profile?.runtime.environment ?? null,
      url: profile?.server.external_url ?? null,
      state: issues.length === 0 ? 'valid' : 'invalid',
    })),
    count: entries.length,
    empty: 'No profiles found.',
    notes: entries.flatMap(({ name, profile, issues }) => [
      ...(profile === undefined || profile.display_name === name ? [] : [`${name}: ${profile.display_name}`]),
      ...issues.slice(0, 1).map((issue) => `${issue.file}:${issue.line}:${issue.column}  ${issue.message}`),
    ]),
  };
}

/** A section for each group of fields; what is not the default says where it comes from. */
export function settingsCard({ profile, file, settings }: ProfileSettings): PresentationCardArtifact {
  const groups = new Map<string, string[]>();
  for (const { field, value, origin, line } of settings) {
    const [group = '', ...rest] = field.split('.');
    const [heading, name] = rest.length === 0 ? ['profile', group] : [group, rest.join('.')];
    const from = origin === 'default' ? '' : origin === 'file' ? `  (line ${line})` : '  (environment)';
    groups.set(heading, [...(groups.get(heading) ?? []), `${name}: ${value}${from}`]);
  }
  return {
    type: 'presentation_card',
    title: `Profile ${profile.name}`,
    subtitle: file,
    sections: [...groups].map(([heading, lines]) => ({ heading, content: lines.join('\n') })),
    data: { profile: profile.name, file, settings },
  };
}

/** What became of an edit, and what it takes until it is in force. */
export function editedProfile(name: string, { file, changes }: EditedProfile, reconcile: string): Artifact {
  const lines = changes.map(({ field, before, after }) =>
    after === undefined ? `  ${field}: ${before} → its default` : `  ${field}: ${before ?? 'its default'} → ${after}`,
  );
  const content =
    changes.length === 0
      ? `${name} is as it was`
      : [`Changed ${name}`, ...lines, `What runs with it takes it over by itself, or with: ${reconcile}`].join('\n');
  return { type: 'text', content, data: { profile: name, file, changes } };
}
