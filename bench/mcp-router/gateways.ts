import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../../test/helpers/free-port.ts';
import { until } from '../../test/helpers/until.ts';
import { echoCall, legacyHeaders } from './measuring.ts';

/** Exactly these. They are installed outside of the project when the benchmark runs, and never part of it. */
export const versions = { supergateway: '4.0.0', 'mcp-proxy': '6.7.19' } as const;
export type GatewayName = keyof typeof versions;

const folder = join(tmpdir(), `systemprompt-bench-gateways-${Object.values(versions).join('-')}`);
const programs: Record<GatewayName, string> = {
  supergateway: join(folder, 'node_modules/supergateway/dist/index.js'),
  'mcp-proxy': join(folder, 'node_modules/mcp-proxy/dist/bin/mcp-proxy.mjs'),
};

/** Another gateway before a program on standard input and output, in one of its modes. */
export class Gateway {
  readonly name: GatewayName;
  readonly stateful: boolean;
  readonly port: number;
  readonly #child: ChildProcess;

  private constructor(name: GatewayName, stateful: boolean, port: number, child: ChildProcess) {
    this.name = name;
    this.stateful = stateful;
    this.port = port;
    this.#child = child;
  }

  /** Installs them, unless they are there already. */
  static install(): void {
    if (Object.values(programs).every((file) => existsSync(file))) return;
    mkdirSync(folder, { recursive: true });
    const packages = Object.entries(versions).map(([name, version]) => `${name}@${version}`);
    const options = ['--no-audit', '--no-fund', '--ignore-scripts', '--loglevel=error'];
    const { status } = spawnSync('npm', ['install', '--prefix', folder, ...packages, ...options], {
      cwd: folder,
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    if (status !== 0) throw new Error('The gateways to compare with could not be installed');
  }

  /** @param server file of the program, run by this Node.js */
  static async start(name: GatewayName, stateful: boolean, server: string): Promise<Gateway> {
    const port = await freePort();
    const args =
      name === 'supergateway'
        ? [
            ...['--stdio', `${process.execPath} ${server}`, '--outputTransport', 'streamableHttp'],
            ...['--port', String(port), '--logLevel', 'none', ...(stateful ? ['--stateful'] : [])],
          ]
        : [
            ...['--port', String(port), '--server', 'stream', '--no-eventStore', ...(stateful ? [] : ['--stateless'])],
            ...['--', process.execPath, server],
          ];
    // A group of its own: what it starts is ended with it.
    const child = spawn(process.execPath, [programs[name], ...args], { stdio: 'ignore', detached: true });
    const gateway = new Gateway(name, stateful, port, child);
    await until(
      `${name} answers`,
      async () => {
        if (child.exitCode !== null) throw new Error(`${name} ended with ${child.exitCode}`);
        const ping = { method: 'POST', headers: legacyHeaders, body: echoCall };
        const response = await fetch(gateway.url, ping).catch(() => undefined);
        const text = await response?.text();
        // One with sessions refuses what has none.
        return stateful ? response !== undefined : text?.includes('"result"') === true;
      },
      30_000,
    );
    return gateway;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}/mcp`;
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  async stop(): Promise<void> {
    const { pid } = this.#child;
    if (pid === undefined || this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = once(this.#child, 'exit');
    process.kill(-pid, 'SIGTERM');
    const late = setTimeout(() => process.kill(-pid, 'SIGKILL'), 5_000);
    await ended;
    clearTimeout(late);
  }
}
