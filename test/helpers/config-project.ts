import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { createLocalInstance, type Instance } from '../../src/lib/infra/config/instance.ts';
import { temporaryFolder } from './temporary-folder.ts';

export interface ConfigProject extends AsyncDisposable {
  readonly path: string;
  readonly instance: Instance;
}

/** A project with these files in it (paths from its folder); `.systemprompt/` as a fresh instance has it. */
export async function configProject(files: Readonly<Record<string, string>>): Promise<ConfigProject> {
  const folder = await temporaryFolder();
  await mkdir(join(folder.path, 'services'));
  const instance = await createLocalInstance(folder.path, {});
  for (const [name, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder.path, name)), { recursive: true });
    await writeFile(join(folder.path, name), text, { mode: 0o600 });
  }
  return { path: folder.path, instance, [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose]() };
}

export const profilePath = '.systemprompt/profiles/local/profile.yaml';

/** YAML of one MCP server, with a comment. */
export function serverYaml(name: string, port: number, more = ''): string {
  return `# ${name}\nmcp_servers:\n  ${name}:\n    module: ${name}.js # built\n    port: ${port}\n    description: A server\n    oauth: { scopes: [user] }\n${more}`;
}
