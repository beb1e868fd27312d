import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { type ProcessInfo, parseStat } from '../../src/lib/infra/process/identity.ts';
import { noFootprint } from '../helpers/leaks.ts';
import { Supervised } from '../helpers/supervised.ts';
import { until } from '../helpers/until.ts';

// A pid namespace of its own, in which the supervisor is process 1, as in a container without an init.
const namespace = ['unshare', '--pid', '--fork', '--kill-child=SIGKILL', '--mount-proc'];
const permitted = spawnSync(namespace[0] ?? '', [...namespace.slice(1), 'true']).status === 0;

let system: Supervised;
beforeEach(async () => {
  system = await Supervised.create();
});
afterEach(async () => {
  await system.remove();
});

function childrenOf(parent: number): ProcessInfo[] {
  return readdirSync('/proc').flatMap((name) => {
    if (!/^\d+$/.test(name)) return [];
    try {
      const info = parseStat(readFileSync(`/proc/${name}/stat`, 'utf8'));
      return info?.parent === parent ? [info] : [];
    } catch {
      return []; // it ended meanwhile
    }
  });
}

it.skipIf(!permitted)(
  'as process 1 it says that nobody reaps, and takes the zombies of orphans for dead (needs the right to unshare)',
  async () => {
    const { process: outer, client } = await system.start(
      [{ name: 'daemon', program: 'escapes', port: system.port(0), graceMs: 2_000 }],
      namespace,
    );
    await system.state(client, 'daemon', ({ state }) => state === 'ready');
    const { supervisor } = await client.status();
    expect(supervisor.pid).toBe(1);
    expect(supervisor.warnings).toEqual([expect.stringMatching(/process 1 and does not reap.*docker run --init/)]);
    expect(system.log().match(/process 1 and does not reap/g)).toHaveLength(1);

    const [first] = childrenOf(outer.pid ?? 0);
    const since = performance.now();
    const { services, failed } = await client.stop(['daemon']);
    expect(failed).toEqual([]);
    expect(services[0]?.lastError).toBeUndefined();
    // Far below what an unkillable process is waited for: the daemon, now our zombie, counted as dead at once.
    expect(performance.now() - since).toBeLessThan(6_000);
    await until('the daemon is a zombie of process 1', () =>
      childrenOf(first?.pid ?? 0).some(({ state }) => state === 'Z'),
    );
    expect(childrenOf(first?.pid ?? 0).filter(({ state }) => state !== 'Z')).toEqual([]);

    const again = await client.start(['daemon']);
    expect(again.failed).toEqual([]);
    await system.stop(client);
    expect(await system.footprint()).toEqual(noFootprint);
  },
);
