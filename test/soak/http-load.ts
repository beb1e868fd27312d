import { Agent, request } from 'node:http';

export interface HttpTold {
  ok: number;
  /** Requests without a whole answer of status 200, by what came instead. */
  readonly failures: Map<string, number>;
  /** Answers by the run of the API that gave them. */
  readonly runs: Map<string, number>;
  /** Of each answer, in ms. */
  readonly latencies: number[];
}

/** Clients that ask the API how it is, one request after another without a pause. */
export class HttpLoad {
  readonly told: HttpTold = { ok: 0, failures: new Map(), runs: new Map(), latencies: [] };
  readonly #port: number;
  readonly #clients: Promise<void>[];
  #stopped = false;

  /** @param options.keepAlive whether a client keeps its connection, or opens one for each request */
  constructor(port: number, options: { readonly clients: number; readonly keepAlive: boolean }) {
    this.#port = port;
    this.#clients = Array.from({ length: options.clients }, () => this.#client(options.keepAlive));
  }

  get sent(): number {
    return this.told.ok + [...this.told.failures.values()].reduce((sum, count) => sum + count, 0);
  }

  async stop(): Promise<HttpTold> {
    this.#stopped = true;
    await Promise.all(this.#clients);
    return this.told;
  }

  async #client(keepAlive: boolean): Promise<void> {
    const agent = new Agent({ keepAlive, maxSockets: 1 });
    while (!this.#stopped) {
      const since = performance.now();
      const outcome = await this.#ask(agent);
      this.told.latencies.push(performance.now() - since);
      if ('run' in outcome) {
        this.told.ok += 1;
        this.told.runs.set(outcome.run, (this.told.runs.get(outcome.run) ?? 0) + 1);
      } else {
        this.told.failures.set(outcome.failure, (this.told.failures.get(outcome.failure) ?? 0) + 1);
      }
    }
    agent.destroy();
  }

  #ask(agent: Agent): Promise<{ run: string } | { failure: string }> {
    return new Promise((resolve) => {
      const fail = (error: NodeJS.ErrnoException): void => resolve({ failure: error.code ?? error.message });
      const sent = request({ host: '127.0.0.1', port: this.#port, path: '/healthz', agent }, (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (chunk: string) => {
          text += chunk;
        });
        response.on('error', fail).on('end', () => {
          if (response.statusCode !== 200) return resolve({ failure: `HTTP ${response.statusCode}` });
          resolve({ run: (JSON.parse(text) as { instanceId: string }).instanceId });
        });
      });
      sent.on('error', fail);
      sent.end();
    });
  }
}
