import { relative } from 'node:path';
import type { ProfileRequest } from '../../infra/config/active-profile.ts';
import { packageRoot } from '../../infra/config/package-root.ts';
import { ConfigInvalidError } from '../../shared/errors.ts';
import { type ArtifactRecord, readArtifactRecord } from './artifact-file.ts';
import { isCurrent } from './build.ts';
import { requireProject, servicesOfProject } from './project.ts';
import { readWorkspace } from './workspace.ts';

/** An extension of the project, and how far what is built of it is what its sources say. */
export interface ListedPackage {
  readonly name: string;
  readonly state: 'built' | 'changed' | 'not built' | 'disabled' | 'with the core';
  /** Relative to the project. */
  readonly folder: string;
  /** Keys of services/mcp/. */
  readonly servers: readonly string[];
  readonly record: ArtifactRecord | undefined;
}

/** @throws PreconditionError without a project, ConfigInvalidError for manifests and services/mcp/ that do not hold */
export async function listPackages(options: ProfileRequest): Promise<ListedPackage[]> {
  const root = requireProject(options.cwd, options.env);
  const { packages, issues } = await readWorkspace(root, packageRoot(), await servicesOfProject(root, options));
  if (issues.length > 0) throw new ConfigInvalidError(issues);
  return await Promise.all(
    packages.map(async (extension): Promise<ListedPackage> => {
      const record = readArtifactRecord(extension.output);
      const current = record !== undefined && (await isCurrent(root, extension, record));
      const built = record === undefined ? 'not built' : current ? 'built' : 'changed';
      const own = root === packageRoot();
      return {
        name: extension.name,
        state: own ? 'with the core' : extension.enabled ? built : 'disabled',
        folder: relative(root, extension.folder),
        servers: extension.configured.map(({ name }) => name),
        record,
      };
    }),
  );
}
