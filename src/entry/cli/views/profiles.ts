import type { EditedProfile } from '../../../lib/app/profiles/edit.ts';
import type { ProfileEntry, ProfileSetting } from '../../../lib/app/profiles/overview.ts';
import type { Profile } from '../../../lib/infra/config/profile.ts';
import type { Artifact, TableArtifact } from '../../../lib/shared/artifact.ts';

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

export function settingsTable(profile: Profile, settings: readonly ProfileSetting[]): TableArtifact {
  const { name, display_name: shown } = profile;
  return {
    type: 'table',
    title: shown === name ? `Profile ${name}` : `Profile ${name} (${shown})`,
    columns: [text('field'), text('value'), text('origin')],
    items: settings.map(({ field, value, origin }) => ({ field, value, origin })),
    count: settings.length,
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
      : [`Changed ${name}`, ...lines, `What runs with it takes it over with: ${reconcile}`].join('\n');
  return { type: 'text', content, data: { profile: name, file, changes } };
}
