import { randomUUID } from 'node:crypto';
import { afterEach, expect, it } from 'vitest';
import { childEnvironment } from '../../../../src/lib/app/bridge/child-environment.ts';
import { markedProcesses } from '../../../../src/lib/infra/process/marker.ts';
import type { UserId } from '../../../../src/lib/shared/ids.ts';
import { type BridgeRig, type BridgeRigOptions, bridgeRig, messagesOf, textOf } from '../../../helpers/bridge-rig.ts';

const rigs: BridgeRig[] = [];
async function start(options: BridgeRigOptions): Promise<BridgeRig> {
  const rig = await bridgeRig(options);
  rigs.push(rig);
  return rig;
}
afterEach(async () => {
  for (const rig of rigs.splice(0)) {
    await rig[Symbol.asyncDispose]();
    expect(await markedProcesses(rig.installationId)).toEqual([]);
  }
});

it('a program that crashes at its start is answered at once, with the end of its standard error and without secrets', async () => {
  const rig = await start({ args: ['--crash-at-start'] });
  const answer = await rig.call('echo');
  expect(answer.error?.message).toContain('exit code 3');
  expect(answer.error?.data).toMatchObject({ code: 'UPSTREAM_FAILED', exit_code: 3 });
  expect(answer.error?.data?.['stderr']).toContain('fatal: no vault here');
  expect(JSON.stringify(answer)).not.toContain('hunter2');
  // Not started again for each that asks.
  const since = performance.now();
  expect((await rig.call('echo')).error?.message).toContain('exit code 3');
  expect(performance.now() - since).toBeLessThan(400);
});

it('a program that does not exist, and one that never answers, are said to be so', async () => {
  const absent = await start({ program: '/nowhere/at-all' });
  expect((await absent.call('echo')).error?.message).toContain('/nowhere/at-all');
  const mute = await start({ args: ['--no-answer-to-initialize', '--ignore-sigterm'], startTimeoutMs: 500 });
  const { error } = await mute.call('echo');
  expect(error?.message).toContain('did not answer initialize within 500 ms');
  // npx that can't reach its registry is silent for minutes: what it said, and what to do about a slow start.
  expect(error?.data?.['stderr']).toMatch(/^started \d+$/);
  expect(error?.data?.['hint']).toContain('start_timeout_ms');
});

it('a program that fetches itself finds proxies and authorities, and nothing else of ours', () => {
  const world = { https_proxy: 'http://p', NO_PROXY: 'a', NODE_EXTRA_CA_CERTS: '/ca', SSL_CERT_FILE: '/ca', OWN: '1' };
  expect(childEnvironment({ ...world, DATABASE_URL: 'x', NPM_TOKEN: 'x' }, ['OWN'])).toEqual(world);
});

it('a crash ends the calls that run, and the next call gets a new program', async () => {
  const rig = await start({});
  const session = await rig.initialize();
  const before = textOf(await rig.call('pid'));
  const [waiting, crash] = await Promise.all([rig.call('never'), rig.call('crash', {}, { session })]);
  for (const answer of [waiting, crash]) {
    expect(answer.error?.message).toContain('exit code 7');
    expect(answer.error?.data?.['stderr']).toContain('it broke');
    expect(JSON.stringify(answer)).not.toContain('abcdefgh');
  }
  await expect.poll(async () => textOf(await rig.call('pid')), { timeout: 10_000 }).toMatch(/^\d+$/);
  expect(textOf(await rig.call('pid'))).not.toBe(before);
  // What the program knew of the session is gone.
  expect((await rig.send({ id: 1, method: 'tools/list' }, { session })).status).toBe(404);
});

it('a crash shows nobody what the program wrote about others', async () => {
  const rig = await start({});
  const identity = { sub: randomUUID() as UserId };
  await rig.call('echo', { of: 'one' }, { identity });
  const crash = await rig.call('crash');
  expect(crash.error?.message).toContain('exit code 7');
  expect(crash.error?.data?.['stderr']).toBeUndefined();
  // It ended so soon that the next start has to wait, and who comes is told why.
  const next = await rig.call('echo', {}, { identity });
  expect(next.error?.message).toContain('exit code 7');
  expect(next.error?.data?.['stderr']).toBeUndefined();
});

it('is stopped when nothing is asked of it, with what it has left behind, and started again', async () => {
  const rig = await start({ args: ['--spawn-stray'], idleStopMs: 300 });
  const session = await rig.initialize();
  const before = textOf(await rig.call('pid', {}, { session }));
  expect((await markedProcesses(rig.installationId)).length).toBe(2);
  // A call that takes longer is activity.
  expect(textOf(await rig.call('slow', { ms: 600 }))).toBe('done');
  await expect.poll(() => markedProcesses(rig.installationId), { timeout: 10_000 }).toEqual([]);
  const after = textOf(await rig.call('pid', {}, { session }));
  expect(after).toMatch(/^\d+$/);
  expect(after).not.toBe(before);
});

it('each session has a program of its own, which ends with it', async () => {
  const rig = await start({ instances: 'session' });
  const [one, two] = await Promise.all([rig.initialize(), rig.initialize()]);
  const pids = await Promise.all([one, two].map(async (session) => textOf(await rig.call('pid', {}, { session }))));
  expect(new Set(pids).size).toBe(2);
  const stranger = { session: one, identity: { sub: 'somebody-else' as never } };
  expect((await rig.send({ id: 1, method: 'tools/list' }, stranger)).status).toBe(404);
  expect((await rig.request('DELETE', { session: one })).status).toBe(204);
  await expect.poll(async () => (await markedProcesses(rig.installationId)).length).toBe(1);
  expect((await rig.send({ id: 1, method: 'tools/list' }, { session: one })).status).toBe(404);
});

it('each user has a program with his own variables, and another one when they change', async () => {
  const rig = await start({ instances: 'user', env: { SHARED: 'all' } });
  const as = (sub: string, token: string) => ({
    identity: { sub: sub as never },
    upstream: { variables: { TOKEN: token }, key: token },
  });
  const ask = async (name: string, who: ReturnType<typeof as>) => textOf(await rig.call('env', { name }, who));
  expect(await ask('TOKEN', as('ada', 'a1'))).toBe('a1');
  expect(await ask('TOKEN', as('bob', 'b1'))).toBe('b1');
  expect(await ask('SHARED', as('bob', 'b1'))).toBe('all');
  expect(await ask('TOKEN', as('ada', 'a2'))).toBe('a2');
  await expect.poll(async () => (await markedProcesses(rig.installationId)).length, { timeout: 10_000 }).toBe(2);
});

it('a client that listens hears of changes, and gets what it missed when it comes back', async () => {
  const rig = await start({ keepAliveMs: 60 });
  const session = await rig.initialize();
  const listening = new AbortController();
  const response = await rig.request('GET', { session, signal: listening.signal });
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  let heard = '';
  const until = async (word: string): Promise<void> => {
    while (!heard.includes(word)) heard += (await reader?.read())?.value ?? '';
  };
  await until(': keep-alive');
  await rig.call('changed', {}, { session });
  await until('list_changed');
  const id = /id: (\S+)/.exec(heard)?.[1] ?? '';
  listening.abort();
  await reader?.cancel().catch(() => undefined);
  await rig.call('changed', {}, { session });
  await rig.call('changed', {}, { session });
  const back = new AbortController();
  const again = await rig.request('GET', { session, signal: back.signal, headers: { 'last-event-id': id } });
  const replay = again.body?.pipeThrough(new TextDecoderStream()).getReader();
  let missed = '';
  while (missed.split('list_changed').length < 3) missed += (await replay?.read())?.value ?? '';
  back.abort();
  await replay?.cancel().catch(() => undefined);
});

it('a stream that broke in the middle of a call can be taken up again', async () => {
  const rig = await start({});
  const session = await rig.initialize();
  const broken = new AbortController();
  const params = { name: 'slow', arguments: { ms: 400, progress: 1 }, _meta: { progressToken: 'p' } };
  const response = await rig.send({ id: 3, method: 'tools/call', params }, { session, signal: broken.signal });
  const first = new TextDecoder().decode((await response.body?.getReader().read())?.value);
  const id = /id: (\S+)/.exec(first)?.[1] ?? '';
  broken.abort();
  const resumed = await rig.request('GET', { session, headers: { 'last-event-id': id } });
  expect((await messagesOf(resumed)).at(-1)).toMatchObject({ id: 3, result: { content: [{ text: 'done' }] } });
});

it('a bridge that stops while a program starts does not wait for it, and leaves nothing', async () => {
  const rig = await start({ args: ['--no-answer-to-initialize', '--spawn-stray'], startTimeoutMs: 20_000 });
  const call = rig.call('echo');
  await expect.poll(async () => (await markedProcesses(rig.installationId)).length).toBe(2);
  await rig.service.close();
  expect((await call).error?.message).toContain('broken off');
});
