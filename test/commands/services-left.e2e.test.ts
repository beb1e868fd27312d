import { expect, it } from 'vitest';
import { noFootprint } from '../helpers/leaks.ts';
import { startSystem } from '../helpers/running-system.ts';
import { until } from '../helpers/until.ts';

interface Table {
  readonly title: string;
  readonly items: readonly { readonly name: string; readonly state: string; readonly pid: number | null }[];
}

it('after the supervisor was killed, status and stop tell what goes on, and a start takes it over', async () => {
  await using system = await startSystem();
  const status = () => system.artifact<Table>('infra', 'services', 'status');
  const before = await status();
  const [, pid] = /supervisor (\d+)/.exec(before.title) ?? [];
  process.kill(Number(pid), 'SIGKILL');
  await until('the supervisor is gone', async () => (await status()).title.startsWith('No supervisor'));

  const left = (await status()).items;
  expect(left).toMatchObject(before.items.map(({ name, pid }) => ({ name, pid, state: 'unsupervised' })));
  expect((await fetch(`${system.url}/healthz`)).status).toBe(200);
  const refused = await system.run('infra', 'services', 'stop');
  expect(refused.code).not.toBe(0);
  expect(refused.stderr).toContain('api, database and mcp:systemprompt still are');
  for (const verb of ['restart', 'start']) {
    const order = await system.run('infra', 'services', verb, 'api');
    expect(order.code).toBe(refused.code);
    expect(order.stderr).toContain('No supervisor is running, but api, database and mcp:systemprompt still are');
    expect(order.stderr).toContain('infra services start');
  }

  expect((await system.run('infra', 'services', 'start')).code).toBe(0);
  expect(await system.stop()).toEqual(noFootprint);
  expect((await status()).title).toMatch(/^Nothing is running/);
});
