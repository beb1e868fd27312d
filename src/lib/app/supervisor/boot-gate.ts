import { accessSync, constants, statSync } from 'node:fs';
import { delimiter, isAbsolute, join, resolve } from 'node:path';
import type { McpServerConfig } from '../../domain/mcp/index.ts';
import type { Instance } from '../../infra/config/instance.ts';
import { quoted } from '../../infra/config/quoted.ts';
import { serverSecretName } from '../../infra/config/secrets/names.ts';
import type { SecretStore } from '../../infra/config/secrets.ts';
import type { ConfigIssue } from '../../shared/errors.ts';
import { type ServerVariables, serverVariables } from '../secrets/variables.ts';
import { findModule, isFile } from './module-path.ts';
import { limitIssues } from './with-limits.ts';

/** What the gate looks at beside the configuration. */
export interface GateSource {
  readonly instance: Pick<Instance, 'root'>;
  readonly secrets: SecretStore;
  readonly servers: readonly McpServerConfig[];
  readonly packageRoot: string;
  /** The environment that programs are looked for in. */
  readonly env: NodeJS.ProcessEnv;
}

/** A server that may start, with what was found for it. */
export interface GatedServer {
  readonly server: McpServerConfig;
  /** The file that runs; undefined unless the server is a module. */
  readonly module: string | undefined;
  readonly variables: ServerVariables;
}

export interface Gate {
  /** The servers that are enabled, in their order. */
  readonly servers: readonly GatedServer[];
  /** What keeps them from starting, each with its place: none of them starts unless there is nothing. */
  readonly issues: readonly ConfigIssue[];
  /** Commands that mend it. */
  readonly next: readonly string[];
}

/**
 * What stands between MCP servers and their start, beyond what the files say by themselves: modules and programs that are
 * not there, secrets that are not kept, limits that this machine can't keep. Starts nothing and writes nothing.
 */
export async function bootGate(source: GateSource): Promise<Gate> {
  const servers: GatedServer[] = [];
  const issues: ConfigIssue[] = [];
  let unbuilt = false;
  for (const server of source.servers.filter(({ enabled }) => enabled)) {
    const roots = [source.instance.root, source.packageRoot];
    const module = server.module === '' ? undefined : findModule(roots, server.module);
    if (server.module !== '' && module === undefined) {
      const sources = isUnbuilt(source, server);
      unbuilt ||= sources;
      issues.push(missingModule(server, sources));
    }
    const variables = await serverVariables(server, source.secrets);
    issues.push(
      ...programIssues(source, server),
      ...variables.issues,
      ...(await upstreamSecretIssues(source, server)),
      ...limitIssues(server.limits, server.moduleAt, `limits of ${server.name}`),
    );
    servers.push({ server, module, variables });
  }
  return { servers, issues, next: unbuilt ? ['build mcp'] : [] };
}

function missingModule(server: McpServerConfig, isSource: boolean): ConfigIssue {
  return {
    ...server.moduleAt,
    message: `the module ${server.module} of ${server.name} does not exist`,
    hint: isSource
      ? 'it has not been built: run `systemprompt build mcp`'
      : 'write the path of its built module, relative to the project folder',
  };
}

/** Whether the sources of a module are there, in a folder of the project, and nothing that runs. */
function isUnbuilt({ instance }: Pick<GateSource, 'instance'>, { module }: McpServerConfig): boolean {
  const folder = isAbsolute(module) ? module : join(instance.root, module);
  return ['manifest.yaml', 'index.ts', join('src', 'index.ts')].some((name) => isFile(join(folder, name)));
}

/** The program of a command and the folder that it runs in. */
function programIssues({ instance, env }: GateSource, server: McpServerConfig): ConfigIssue[] {
  const { command } = server;
  if (command === undefined) return [];
  const issues: ConfigIssue[] = [];
  if (findProgram(command.program, instance.root, server.env['PATH'] ?? env['PATH'] ?? '') === undefined) {
    const message = `the program ${quoted(command.program)} of ${server.name} does not exist, or is not executable`;
    const hint = command.program.includes('/')
      ? 'write its path from the project folder, and make it executable'
      : 'install it so that it is on the PATH, or write its path';
    issues.push({ ...server.moduleAt, message, hint });
  }
  const { cwd } = command;
  if (cwd !== undefined && statSync(resolve(instance.root, cwd), { throwIfNoEntry: false })?.isDirectory() !== true) {
    const message = `the folder ${quoted(cwd)} that ${server.name} runs in does not exist`;
    issues.push({ ...server.moduleAt, message, hint: 'make it, or write another cwd' });
  }
  return issues;
}

/**
 * Where a program is found that is named as a command names it.
 * @param root the project's folder
 * @param path folders with a colon between them
 */
export function findProgram(program: string, root: string, path: string): string | undefined {
  if (program.includes('/')) {
    const file = resolve(root, program);
    return isExecutable(file) ? file : undefined;
  }
  const folders = path.split(delimiter).filter((folder) => folder !== '');
  return folders.map((folder) => join(folder, program)).find(isExecutable);
}

function isExecutable(file: string): boolean {
  if (!isFile(file)) return false;
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false; // there, and not ours to run
  }
}

/** The secret of the instance that a server elsewhere asks of us; those of users are theirs to bring. */
async function upstreamSecretIssues(
  { secrets }: Pick<GateSource, 'secrets'>,
  { name, external, moduleAt }: McpServerConfig,
): Promise<ConfigIssue[]> {
  const auth = external?.auth;
  const key = auth?.type === 'key' && auth.per === 'shared' ? auth.secret : undefined;
  const wanted = auth?.type === 'oauth' ? auth.clientSecret : key;
  if (wanted === undefined) return [];
  const kept = (await secrets.get(serverSecretName(name, wanted))) ?? (await secrets.get(wanted));
  if (kept !== undefined) return [];
  const next = `cloud secrets set ${wanted} --server ${name}`;
  const message = `${name} asks for the secret ${wanted}, which is not set`;
  return [{ ...moduleAt, message, hint: `set it: ${next}`, next }];
}
