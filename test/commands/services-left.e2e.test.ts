import { expect, it } from 'vitest';
import { noFootprint } from '../helpers/leaks.ts';
import { startSystem } from '../helpers/running-system.ts';
import { until } from '../helpers/until.ts';

interface Table {
  readonly title: string;
  readonly items: readonly { readonly name: string; readonly state: string }[];
}

it('after the supervisor was killed, status and stop tell what goes on, and a start takes it over', async () => {
  await using system = await startSystem();
  const status = () => system.artifact<Table>('infra', 'services', 'status');
  const [, pid] = /supervisor (\d+)/.exec((await status()).title) ?? [];
  process.kill(Number(pid), 'SIGKILL');
  await until('the supervisor is gone', async () => (await status()).title.startsWith('No supervisor'));

  expect((await status()).items.map(({ state }) => state)).toEqual(['unsupervised', 'unsupervised', 'unsupervised']);
  expect((await fetch(`${system.url}/healthz`)).status).toBe(200);
  const refused = await system.run('infra', 'services', 'stop');
  expect(refused.code).not.toBe(0);
  expect(refused.stderr).toContain('api, database and mcp:systemprompt still are');

  expect((await system.run('infra', 'services', 'start')).code).toBe(0);
  expect(await system.stop()).toEqual(noFootprint);
  expect((await status()).title).toMatch(/^Nothing is running/);
});
