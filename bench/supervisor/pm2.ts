import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Peer, run } from './peer.ts';

/** Exactly this one. It is AGPL-3.0: installed outside of the project when the benchmark runs, and never part of it. */
export const pm2Version = '7.0.4';

/** pm2 with a home of its own. */
export class Pm2 implements Peer {
  readonly name = 'pm2';
  /** `fork` is its way for one process a service, `cluster` the one that reloads without a gap. */
  mode: 'fork' | 'cluster' = 'fork';
  /** Processes of each service, in cluster mode. */
  instances = 1;
  readonly #bin: string;
  readonly #home: string;
  readonly #program: string;
  readonly #ports: readonly number[];

  private constructor(bin: string, home: string, program: string, ports: readonly number[]) {
    this.#bin = bin;
    this.#home = home;
    this.#program = program;
    this.#ports = ports;
  }

  /** Installs it when it is not there yet, and has it make its home, so that a first run's work is not measured. */
  static async create(program: string, ports: readonly number[]): Promise<Pm2> {
    const folder = join(tmpdir(), `systemprompt-bench-pm2-${pm2Version}`);
    const bin = join(folder, 'node_modules', 'pm2', 'bin', 'pm2');
    if (!existsSync(bin)) {
      mkdirSync(folder, { recursive: true });
      const options = ['--no-audit', '--no-fund', '--ignore-scripts', '--loglevel=error'];
      const { status } = spawnSync('npm', ['install', '--prefix', folder, `pm2@${pm2Version}`, ...options], {
        cwd: folder,
        stdio: 'inherit',
      });
      if (status !== 0) throw new Error('pm2 could not be installed');
    }
    const pm2 = new Pm2(bin, mkdtempSync(join(tmpdir(), 'sp-bench-pm2-')), program, ports);
    await pm2.#cli('ping');
    await pm2.stop();
    return pm2;
  }

  async start(count: number): Promise<number> {
    const apps = this.#ports.slice(0, count).map((port, index) => ({
      name: `s${index}`,
      script: this.#program,
      exec_mode: this.mode,
      instances: this.instances,
      env: { PORT: String(port), INSTANCE_ID: `s${index}` },
      // As its documentation says for services that can tell when they are ready (docs: "Graceful Shutdown/Start").
      wait_ready: true,
      listen_timeout: 10_000,
      kill_timeout: 3_000,
      // Its own instrumentation of the services costs them time and memory, and is not what is compared.
      pmx: false,
    }));
    const file = join(this.#home, 'ecosystem.config.json');
    writeFileSync(file, JSON.stringify({ apps }));
    return this.#cli('start', file);
  }

  async pids(): Promise<number[]> {
    const daemon = Number(readFileSync(join(this.#home, 'pm2.pid'), 'utf8'));
    // Whatever else it runs for itself; services are known by their port.
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .map(Number)
      .filter((pid) => {
        if (pid === daemon) return true;
        try {
          const env = readFileSync(`/proc/${pid}/environ`, 'utf8');
          return env.includes(`PM2_HOME=${this.#home}`) && !/(^|\0)PORT=/.test(env) && pid !== process.pid;
        } catch {
          return false; // gone, or not ours
        }
      });
  }

  restart(name: string): Promise<number> {
    return this.#cli('restart', name);
  }
  reload(name: string): Promise<number> {
    return this.#cli('reload', name);
  }

  async stop(): Promise<void> {
    await this.#cli('kill');
  }

  async remove(): Promise<void> {
    await this.stop().catch(() => {}); // none runs
    rmSync(this.#home, { recursive: true, force: true });
  }

  #cli(...argv: string[]): Promise<number> {
    return run([this.#bin, ...argv], { ...process.env, PM2_HOME: this.#home });
  }
}
