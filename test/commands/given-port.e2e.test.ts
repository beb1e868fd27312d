import { expect, it } from 'vitest';
import { freePort } from '../helpers/free-port.ts';
import { noFootprint } from '../helpers/leaks.ts';
import { startSystem } from '../helpers/running-system.ts';
import { until } from '../helpers/until.ts';

interface Table {
  readonly title: string;
  readonly items: readonly {
    readonly name: string;
    readonly pid: number | null;
    readonly port: number | null;
  }[];
}
interface Plan {
  readonly items: readonly { readonly step: string; readonly name: string }[];
}
interface Checks {
  readonly items: readonly {
    readonly check: string;
    readonly state: string;
    readonly detail: string;
    readonly fix: string | null;
  }[];
}

it('a port that was given by --port is that of the running system, whoever takes it over, until it is stopped', async () => {
  await using system = await startSystem();
  const services = ['infra', 'services'] as const;
  const status = () => system.artifact<Table>(...services, 'status');
  const placesOf = ({ items }: Table) => items.map(({ name, pid, port }) => ({ name, pid, port }));
  const check = async (name: string) => {
    const { stdout } = await system.run('doctor', '--json');
    return (JSON.parse(stdout) as { artifact: Checks }).artifact.items.find((found) => found.check === name);
  };
  expect((await system.run(...services, 'stop')).code).toBe(0);
  const given = await freePort();
  expect((await system.run(...services, 'start', '--port', String(given))).code).toBe(0);
  const before = await status();
  expect(before.items.find(({ name }) => name === 'api')?.port).toBe(given);

  const [, pid] = /supervisor (\d+)/.exec(before.title) ?? [];
  process.kill(Number(pid), 'SIGKILL');
  await until('the supervisor is gone', async () => (await status()).title.startsWith('No supervisor'));
  expect((await check('port'))?.detail).toContain(String(given));
  const plan = await system.artifact<Plan>(...services, 'reconcile', '--dry-run');
  expect(new Set(plan.items.map(({ step }) => step))).toEqual(new Set(['adopt']));

  expect((await system.run(...services, 'start')).code).toBe(0);
  expect(placesOf(await status())).toEqual(placesOf(before));
  const again = await system.run(...services, 'start', '--port', String(given));
  expect(again.stdout).toContain('is running already');
  expect(again.stdout).not.toContain('was not applied');
  expect(placesOf(await status())).toEqual(placesOf(before));

  expect((await system.run(...services, 'stop', 'database')).code).toBe(0);
  expect(await check('port')).toMatchObject({ state: 'ok', detail: expect.stringContaining(String(given)) });
  expect(await check('supervisor')).toMatchObject({
    detail: expect.stringContaining('the database was stopped by name'),
    fix: expect.stringContaining('infra services start'),
  });

  expect((await system.run(...services, 'stop')).code).toBe(0);
  expect((await system.run(...services, 'start')).code).toBe(0);
  expect((await status()).items.find(({ name }) => name === 'api')?.port).not.toBe(given);
  expect(await system.stop()).toEqual(noFootprint);
}, 180_000);
