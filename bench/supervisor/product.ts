import { setTimeout as delay } from 'node:timers/promises';
import { Load } from '../../test/soak/load.ts';
import { SoakSystem } from '../../test/soak/system.ts';
import { median } from './peer.ts';

/** The whole product: PostgreSQL, the API and two MCP servers, by its own commands. */
export interface ProductFigures {
  /** Wall time of `infra services start` of an instance that was stopped; PostgreSQL's start is in it. */
  readonly startMs: number;
  readonly startsMs: readonly number[];
  /** Tool calls through the API while `infra services restart` was given again and again. */
  readonly restarts: Readonly<
    Record<
      string,
      { readonly restarts: number; readonly calls: number; readonly failed: number; readonly orderMs: number }
    >
  >;
}

const clients = 8;

export async function measureProduct(quick: boolean): Promise<ProductFigures> {
  const system = await SoakSystem.create();
  const order = async (...argv: string[]): Promise<number> => {
    const since = performance.now();
    const { code, stderr } = await system.cli('infra', 'services', ...argv);
    if (code !== 0) throw new Error(`${argv.join(' ')}: exit ${code}\n${stderr}`);
    return Math.round(performance.now() - since);
  };
  try {
    await order('start');
    const starts: number[] = [];
    for (let round = 0; round < (quick ? 1 : 3); round += 1) {
      await order('stop');
      starts.push(await order('start'));
    }
    const restarts: Record<string, ProductFigures['restarts'][string]> = {};
    for (const service of ['api', 'mcp:alpha']) {
      const load = new Load(system, clients, 0);
      await delay(1_500);
      const times: number[] = [];
      for (let count = 0; count < (quick ? 2 : 5); count += 1) {
        times.push(await order('restart', service));
        await delay(500);
      }
      const { sent, failedAt, failures } = await load.stop();
      restarts[`restart ${service}`] = {
        restarts: times.length,
        calls: sent,
        failed: failedAt.length,
        orderMs: median(times),
      };
      process.stdout.write(
        `${JSON.stringify({ product: service, ...restarts[`restart ${service}`], failures: [...failures] })}\n`,
      );
    }
    await order('stop');
    return { startMs: median(starts), startsMs: starts, restarts };
  } finally {
    await system.kill();
    await system.remove();
  }
}
