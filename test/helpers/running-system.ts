import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLocalInstance, type Instance } from '../../src/lib/infra/config/instance.ts';
import { markedProcesses } from '../../src/lib/infra/process/marker.ts';
import { rootInstanceDir } from '../../src/lib/infra/process/postgres-place.ts';
import { type CliRun, runCli } from './cli.ts';
import { freePort } from './free-port.ts';
import { type Footprint, footprint } from './leaks.ts';
import { createPreparedInstance } from './prepared-cluster.ts';

/** A whole system of a test's own: an instance in a temporary folder, started and driven by the built CLI. */
export interface RunningSystem extends AsyncDisposable {
  readonly instance: Instance;
  readonly url: string;
  readonly mcpUrl: string;
  /** What its start printed. */
  readonly started: string;
  run(...argv: string[]): Promise<CliRun>;
  /** Runs with `--json` and gives the artifact. @throws when the command fails */
  artifact<T>(...argv: string[]): Promise<T>;
  token(...flags: string[]): Promise<string>;
  stop(): Promise<Footprint>;
}

/**
 * @param prepare puts into the instance what it needs beside the defaults, before it starts
 * @param env what its creation and every command find in their environment, beside the usual
 */
export async function startSystem(
  prepare?: (instance: Instance) => Promise<void>,
  env: Record<string, string> = {},
): Promise<RunningSystem> {
  const root = await mkdtemp(join(tmpdir(), 'systemprompt-system-'));
  // A bench starts one too: there is no run that has prepared a cluster, and a first start is what it measures.
  const create = process.env.VITEST === undefined ? createLocalInstance : createPreparedInstance;
  const instance = await create(root, { ...process.env, ...env });
  const apiPort = await freePort();
  const profile = join(instance.dir, 'profiles', 'local', 'profile.yaml');
  const text = await readFile(profile, 'utf8');
  await writeFile(profile, text.replace('port: 8080', `port: ${apiPort}`));
  await prepare?.(instance);
  const url = `http://localhost:${apiPort}`;
  const run = (...argv: string[]) => runCli(argv, { cwd: root, env });
  const artifact = async <T>(...argv: string[]): Promise<T> => {
    const { stdout, stderr } = await run(...argv, '--json');
    const envelope = JSON.parse(stdout) as { ok: boolean; artifact: T };
    if (!envelope.ok) throw new Error(`${argv.join(' ')}: ${stdout}\n${stderr}`);
    return envelope.artifact;
  };
  const stop = async (): Promise<Footprint> => {
    await run('infra', 'services', 'stop');
    const { id, runtimeDir, dir } = instance;
    return await footprint({ installationId: id, ports: [apiPort, apiPort], runtimeDir, dir });
  };
  const started = await run('infra', 'services', 'start');
  if (started.code !== 0)
    throw new Error(`the system did not start (${started.code}):\n${started.stdout}\n${started.stderr}`);
  return {
    instance,
    url,
    mcpUrl: `${url}/api/v1/mcp/systemprompt/mcp`,
    started: started.stdout,
    run,
    artifact,
    async token(...flags) {
      const { code, stdout, stderr } = await run('admin', 'session', 'login', '--token-only', ...flags);
      if (code !== 0) throw new Error(`no token: ${stderr}`);
      return stdout.trim();
    },
    stop,
    async [Symbol.asyncDispose]() {
      await stop();
      // A test that killed the supervisor and then failed leaves services that nobody stops.
      for (const { identity } of await markedProcesses(instance.id)) process.kill(identity.pid, 'SIGKILL');
      for (const path of [root, instance.runtimeDir, rootInstanceDir(instance.id)])
        await rm(path, { recursive: true, force: true });
    },
  };
}
