import type { BuiltExtension } from '../../../lib/app/build/build.ts';
import type { TableArtifact } from '../../../lib/shared/artifact.ts';

/**
 * What a build came to, an extension a line.
 * @param inForce when what runs has it
 */
export function builtTable(results: readonly BuiltExtension[], inForce: readonly string[] = []): TableArtifact {
  return {
    type: 'table',
    columns: [
      { name: 'name', label: 'EXTENSION', column_type: 'string' },
      { name: 'state', column_type: 'string' },
      { name: 'version', column_type: 'string' },
      { name: 'tools', column_type: 'integer' },
      { name: 'duration', label: 'TIME', column_type: 'duration' },
      { name: 'digest', column_type: 'string' },
    ],
    items: results.map(({ name, state, durationMs, record }) => ({
      name,
      state,
      version: record?.server.version ?? null,
      tools: record?.server.tools.length ?? null,
      duration: durationMs,
      digest: record === undefined ? null : shortDigest(record.digest),
    })),
    count: results.length,
    empty: 'No extensions found.',
    notes: [...results.flatMap(({ notes }) => notes), ...inForce],
  };
}

/** As much of a digest as tells builds apart. */
export function shortDigest(digest: string): string {
  return digest.slice(0, 12);
}
