import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { CliRunner } from '../../../src/lib/app/cli-runner.ts';
import { type CliPackage, createCliPackage } from '../../helpers/cli-package.ts';
import { until } from '../../helpers/until.ts';

let cli: CliPackage;
beforeAll(async () => {
  cli = await createCliPackage();
});
afterAll(() => cli[Symbol.dispose]());

const runner = (slots: number, waiting: number): CliRunner =>
  new CliRunner({ packageRoot: cli.root, cwd: cli.root, env: process.env, limits: { slots, waiting } });
const call = (signal: AbortSignal, more: { caller?: string; timeoutMs?: number } = {}) => ({
  token: 't',
  caller: 'one',
  timeoutMs: 20_000,
  signal,
  ...more,
});

it('200 calls at once are not 200 processes: what is too much waits, what is far too much is refused', async () => {
  const bounded = runner(2, 4);
  const cancel = new AbortController();
  const file = (index: number): string => join(cli.root, `running-${index}`);
  const calls = Array.from({ length: 200 }, (_, index) =>
    bounded.run(['demo', 'wait', file(index)], call(cancel.signal, { caller: `caller-${index}` })),
  );
  const results = calls.map((running) => running.catch((error: Error) => error.name));
  await until('two are running', () => existsSync(file(0)) && existsSync(file(1)), 10_000);
  for (const late of await Promise.all(results.slice(6))) {
    expect(late).toMatchObject({ ok: false, exitCode: null, failure: { code: 'UPSTREAM_UNAVAILABLE' } });
  }
  cancel.abort();
  expect(await Promise.all(results.slice(2, 6))).toEqual(Array(4).fill('CancelledError'));
  expect(await calls[0]).toMatchObject({ ok: false, failure: { code: 'CANCELLED' } });
  expect(calls.map((_, index) => existsSync(file(index))).lastIndexOf(true)).toBe(1);
});

it('the wait for a turn counts against the time of the call, and the slot is free again afterwards', async () => {
  const bounded = runner(1, 4);
  const cancel = new AbortController();
  const file = join(cli.root, 'first');
  const first = bounded.run(['demo', 'wait', file], call(cancel.signal));
  await until('the first runs', () => existsSync(file), 10_000);
  const late = await bounded.run(['demo', 'text', '--count', '3'], call(cancel.signal, { timeoutMs: 50 }));
  expect(late).toMatchObject({ ok: false, exitCode: null, failure: { code: 'TIMEOUT', hint: expect.any(String) } });
  cancel.abort();
  await first;
  const signal = new AbortController().signal;
  expect(await bounded.run(['demo', 'text', '--count', '3'], call(signal))).toMatchObject({ ok: true });
});
