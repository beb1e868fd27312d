import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { UserId } from '../../../../src/lib/shared/ids.ts';
import { type BridgeRig, bridgeRig, messagesOf, textOf } from '../../../helpers/bridge-rig.ts';

describe('a shared program behind the bridge', () => {
  let rig: BridgeRig;
  beforeAll(async () => {
    rig = await bridgeRig({ maxMessageBytes: 1024 * 1024 });
  });
  afterAll(() => rig[Symbol.asyncDispose]());

  it('answers single requests, under the id of the client', async () => {
    const answer = await rig.ask({
      id: 'mine',
      method: 'tools/call',
      params: { name: 'echo', arguments: { a: 'ä\n' } },
    });
    expect(answer.id).toBe('mine');
    expect(textOf(answer)).toBe('{"a":"ä\\n"}');
    const tail = await rig.ask({ id: 7, method: 'tools/call', params: { name: 'tail', arguments: { id: 3 } } });
    expect([tail.id, textOf(tail)]).toEqual([7, '{"id":3}']);
  });

  it('lists the tools and counts them for the health check', async () => {
    const { result } = await rig.ask({ id: 1, method: 'tools/list' });
    const health = (await (await fetch(`${rig.origin}/healthz`)).json()) as Record<string, unknown>;
    expect(health['tools']).toBe((result?.['tools'] as unknown[] | undefined)?.length);
  });

  it('lets nobody in without an identity', async () => {
    const response = await fetch(`${rig.origin}/mcp`, { method: 'POST', body: '{}' });
    expect(response.status).toBe(401);
  });

  it.each(['GET', 'DELETE', 'POST'])('answers %s with credentials that can not be read by 400', async (method) => {
    const headers = { ...rig.headers(), 'x-systemprompt-upstream': 'bm8ganNvbg' };
    const body = method === 'POST' ? '{"jsonrpc":"2.0","id":1,"method":"tools/list"}' : null;
    const response = await fetch(`${rig.origin}/mcp`, { method, headers, body });
    expect([response.status, await response.json()]).toMatchObject([400, { error: { data: { code: 'USAGE' } } }]);
  });

  it('keeps no more of a session than it needs', async () => {
    const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'x'.repeat(100_000) } };
    const answer = await rig.ask({ id: 1, method: 'initialize', params });
    expect(answer.error).toMatchObject({ code: -32602, message: 'initialize has 65536 bytes at most.' });
    const user = { sub: randomUUID() as UserId };
    const session = await rig.initialize({}, { identity: user });
    const subscribe = (uri: string) =>
      rig.ask({ id: 2, method: 'resources/subscribe', params: { uri } }, { session, identity: user });
    expect((await subscribe(`file:///${'x'.repeat(10_000)}`)).error?.code).toBe(-32602);
    expect((await subscribe('file:///x')).error).toBeUndefined();
    const kept = rig.service.sessions.find(session, user)?.subscriptions;
    expect(kept).toEqual(new Set(['file:///x']));
    for (let count = 1; count < 1_000; count += 1) kept?.add(`file:///${count}`);
    expect((await subscribe('file:///x')).error).toBeUndefined();
    expect((await subscribe('file:///y')).error?.code).toBe(-32602);
  });

  it('keeps requests of the same number apart', async () => {
    const answers = await Promise.all(
      Array.from({ length: 50 }, (_, index) =>
        rig.ask({ id: 1, method: 'tools/call', params: { name: 'echo', arguments: { index } } }),
      ),
    );
    expect(answers.map((answer) => [answer.id, textOf(answer)])).toEqual(
      answers.map((_, index) => [1, `{"index":${index}}`]),
    );
  });

  it.each(['garbage', 'half', 'other'])('tells the one caller of an answer that is wrong: %s', async (tool) => {
    const answer = await rig.call(tool);
    expect(answer.error?.data?.['code']).toBe('UPSTREAM_FAILED');
    expect(textOf(await rig.call('echo', { still: 'here' }))).toBe('{"still":"here"}');
  });

  it('tells the one caller of an answer that is too large, and nobody else notices', async () => {
    const [huge, echo] = await Promise.all([rig.call('huge', { megabytes: 64 }), rig.call('echo', { a: 1 })]);
    expect(huge.error?.message).toContain('more than the bridge takes');
    expect(textOf(echo)).toBe('{"a":1}');
  });

  it('takes the first of two answers', async () => {
    expect(textOf(await rig.call('twice'))).toBe('first');
    expect(textOf(await rig.call('noise'))).toBe('after the noise');
  });

  it('tells the program when a caller leaves', async () => {
    const leave = new AbortController();
    const left = rig.call('never', {}, { signal: leave.signal }).catch(() => 'left');
    await rig.call('echo');
    leave.abort();
    expect(await left).toBe('left');
    await expect.poll(async () => textOf(await rig.call('cancelled'))).not.toBe('[]');
  });

  it('brings progress to who asked for it, under its own token', async () => {
    const one = (token: string) =>
      rig.send({
        id: 5,
        method: 'tools/call',
        params: { name: 'slow', arguments: { ms: 10, progress: 2 }, _meta: { progressToken: token } },
      });
    const responses = await Promise.all([one('a'), one('b')]);
    const messages = await Promise.all(responses.map(messagesOf));
    for (const [index, token] of ['a', 'b'].entries()) {
      const tokens = messages[index]
        ?.slice(0, -1)
        .map(({ params }) => (params as Record<string, unknown>)['progressToken']);
      expect(tokens).toEqual([token, token]);
      expect(messages[index]?.at(-1)?.id).toBe(5);
    }
  });

  it('refuses to ask one of several clients', async () => {
    const session = await rig.initialize({ elicitation: {} });
    const other = rig.call('slow', { ms: 300 });
    const answer = await rig.call('ask', {}, { session });
    expect(textOf(answer)).toContain('Several clients');
    await other;
  });

  it('asks the one client that calls', async () => {
    const session = await rig.initialize({ elicitation: {} });
    const response = await rig.send({ id: 9, method: 'tools/call', params: { name: 'ask' } }, { session });
    const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
    const { value } = (await reader?.read()) ?? {};
    const question = JSON.parse(/data: (.*)/.exec(value ?? '')?.[1] ?? '{}');
    expect(question.method).toBe('elicitation/create');
    await rig.send({ id: question.id, result: { action: 'accept', content: { name: 'Ada' } } }, { session });
    expect((await reader?.read())?.value).toContain('Ada');
  });
});
