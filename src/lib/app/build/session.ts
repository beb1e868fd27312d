import type { ProfileRequest } from '../../infra/config/active-profile.ts';
import { packageRoot } from '../../infra/config/package-root.ts';
import { ConfigInvalidError, PreconditionError } from '../../shared/errors.ts';
import { type BuiltExtension, buildExtensions } from './build.ts';
import { requireProject, selectExtensions, servicesOfProject } from './project.ts';
import { type ExtensionPackage, readWorkspace } from './workspace.ts';

export interface BuildRun {
  readonly force?: boolean;
  readonly signal?: AbortSignal;
  /** Told which extensions there are before they are built, and by which files of which configuration folder. */
  readonly onExtensions?: (extensions: readonly ExtensionPackage[], files: readonly string[], services: string) => void;
}

/** The builds of one project, one after another. */
export interface BuildSession {
  readonly root: string;
  /**
   * Reads the workspace and brings it up to date.
   * @throws ConfigInvalidError for manifests and services/mcp/ that do not hold, NotFoundError for an unknown name
   */
  run(options?: BuildRun): Promise<readonly BuiltExtension[]>;
}

/**
 * @param names of extensions; all that are enabled when empty
 * @throws PreconditionError without a project, and in the checkout of systemprompt itself
 */
export async function openBuild(request: ProfileRequest, names: readonly string[]): Promise<BuildSession> {
  const root = requireProject(request.cwd, request.env);
  const own = packageRoot();
  if (root === own) {
    throw new PreconditionError('This is systemprompt itself: its own extensions are built with the core', {
      next: ['build core'],
    });
  }
  return {
    root,
    async run({ force = false, signal, onExtensions } = {}) {
      const services = await servicesOfProject(root, request);
      const { packages, files, issues } = await readWorkspace(root, own, services);
      if (issues.length > 0) throw new ConfigInvalidError(issues);
      const extensions = selectExtensions(packages, names);
      onExtensions?.(extensions, files, services);
      return await buildExtensions({
        root,
        packageRoot: own,
        extensions,
        force,
        ...(signal === undefined ? {} : { signal }),
      });
    },
  };
}
