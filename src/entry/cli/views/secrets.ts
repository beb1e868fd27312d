import type { SecretUse } from '../../../lib/app/secrets/uses.ts';
import { usersOf } from '../../../lib/app/secrets/uses.ts';
import { serverOfSecret } from '../../../lib/infra/config/secrets/names.ts';
import type { SecretChange, SecretInfo } from '../../../lib/infra/config/secrets/port.ts';
import type { Artifact, TableArtifact } from '../../../lib/shared/artifact.ts';

const done: Readonly<Record<SecretChange['outcome'], string>> = {
  created: 'Set',
  updated: 'Set',
  unchanged: 'Left as it was:',
};

/** What became of one secret or of several, and what it takes until it is in force. */
export function changedSecrets(
  changes: readonly SecretChange[],
  facts: { readonly users: readonly string[]; readonly inForce: string; readonly dryRun?: boolean },
): Artifact {
  const { users, inForce, dryRun = false } = facts;
  const changed = changes.some(({ outcome }) => outcome !== 'unchanged');
  const waiting = changed && !dryRun && users.length > 0 ? [`Used by ${users.join(', ')}`, inForce] : [];
  const data = { changes, used_by: users, dry_run: dryRun };
  const [only] = changes;
  if (only !== undefined && changes.length === 1 && !dryRun) {
    const line = `${done[only.outcome]} ${only.name} (version ${only.version})`;
    return { type: 'text', content: [line, ...waiting].join('\n'), data };
  }
  return {
    type: 'table',
    title: dryRun ? 'Would be set' : 'Secrets',
    columns: [
      { name: 'name', column_type: 'string' },
      { name: 'version', column_type: 'integer' },
      { name: 'outcome', column_type: 'string' },
    ],
    items: changes.map(({ name, version, outcome }) => ({ name, version, outcome })),
    count: changes.length,
    notes: waiting,
  };
}

/** The secrets of an instance, without values. @param uses undefined while the configuration is invalid */
export function secretsTable(infos: readonly SecretInfo[], uses: readonly SecretUse[] | undefined): TableArtifact {
  const names = new Set(infos.map(({ name }) => name));
  const missing = new Set(
    (uses ?? [])
      .filter(({ name, server, optional }) => optional !== true && !has(names, name, server))
      .map(({ name }) => name),
  );
  return {
    type: 'table',
    title: 'Secrets',
    // For whose eyes the name is, it says itself; how many versions are kept is for programs.
    columns: [
      { name: 'name', column_type: 'string' },
      { name: 'version', column_type: 'integer' },
      { name: 'updated_at', label: 'UPDATED', column_type: 'date' },
      { name: 'by', column_type: 'string' },
      { name: 'used_by', column_type: 'string' },
    ],
    items: infos.map(({ name, current, versions }) => {
      const last = versions.find(({ number }) => number === current);
      const own = serverOfSecret(name);
      return {
        name,
        server: own?.server ?? null,
        version: current,
        kept: versions.length,
        updated_at: last?.createdAt ?? null,
        by: last?.by ?? null,
        used_by: uses === undefined ? null : usersOf(name, uses, names).join(', '),
      };
    }),
    count: infos.length,
    empty: 'No secrets are set.',
    notes: [
      ...(uses === undefined ? ['The configuration is invalid, so who uses what is not known.'] : []),
      ...[...missing].sort().map((name) => `${name} is asked for and not set.`),
    ],
  };
}

function has(names: ReadonlySet<string>, name: string, server: string | undefined): boolean {
  return names.has(name) || (server !== undefined && names.has(`mcp.${server}.${name}`));
}
