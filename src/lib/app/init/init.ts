import { dirname } from 'node:path';
import { createLocalInstance, locateProject } from '../../infra/config/instance.ts';
import { withoutSecrets } from '../../infra/config/master-key/variables.ts';
import { packageRoot, packageVersion } from '../../infra/config/package-root.ts';
import { runTool } from '../../infra/process/run-tool.ts';
import { CancelledError } from '../../shared/errors.ts';
import { createProject } from './create-project.ts';
import type { TemplateName } from './template-names.ts';
import { packageSpecification, templateFiles } from './templates.ts';

export interface InitRequest {
  /** Absolute. */
  readonly folder: string;
  readonly name: string;
  readonly template: TemplateName;
  /** Where npm gets systemprompt from; this version unless told. */
  readonly package?: string | undefined;
  readonly cwd: string;
  readonly env: NodeJS.ProcessEnv;
}

export interface NewProject {
  readonly folder: string;
  /** Relative to the folder. */
  readonly files: readonly string[];
  readonly systemprompt: string;
  /** The folder of a project around it that has an instance; the new one has got one of its own then. */
  readonly within: string | undefined;
}

/** @throws PreconditionError when something is in the way */
export async function initProject({ folder, name, template, ...request }: InitRequest): Promise<NewProject> {
  const own = packageRoot();
  const places = { cwd: request.cwd, project: folder, packageRoot: own };
  const systemprompt = packageSpecification(request.package, places, packageVersion());
  const files = await templateFiles(own, template, { name, systemprompt });
  await createProject(folder, files);
  return { folder, files: [...files.keys()], systemprompt, within: await standAlone(folder, request.env) };
}

/** Commands look for their instance upwards: in a project that lies in another one they would find the other's. */
async function standAlone(folder: string, env: NodeJS.ProcessEnv): Promise<string | undefined> {
  if (env['SYSTEMPROMPT_ROOT']) return undefined;
  const around = await locateProject(dirname(folder), env);
  if (around === undefined) return undefined;
  await createLocalInstance(folder, env);
  return around.root;
}

const installMs = 900_000;
const keptBytes = 64 * 1024;

/** @returns why it failed, in npm's words; `undefined` when it did not. @throws CancelledError */
export async function installPackages(
  folder: string,
  env: NodeJS.ProcessEnv,
  signal: AbortSignal,
): Promise<string | undefined> {
  try {
    const run = await runTool({
      file: 'npm',
      args: ['install', '--no-audit', '--no-fund', '--loglevel=error'],
      env: withoutSecrets(env),
      cwd: folder,
      timeoutMs: installMs,
      maxOutputBytes: keptBytes,
      signal,
    });
    if (run.cancelled) throw new CancelledError('Interrupted', { data: { signal: 'SIGINT' } });
    if (run.exitCode === 0) return undefined;
    const said = `${run.stderr}\n${run.stdout}`.split('\n').filter((line) => line.trim() !== '');
    return said.slice(0, 5).join('\n') || `npm ended with ${run.exitCode ?? run.signal}`;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 'there is no npm on the path';
    throw error;
  }
}
