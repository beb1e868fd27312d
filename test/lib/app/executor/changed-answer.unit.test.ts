import { expect, it } from 'vitest';
import { Cancellation } from '../../../../src/lib/app/executor/call.ts';
import { ExecutionError, Executor } from '../../../../src/lib/app/executor/executor.ts';
import type { Claims } from '../../../../src/lib/domain/auth/index.ts';
import { serverConfig } from '../../../helpers/server-config.ts';

it('an answer that can not be changed as a rule asks is held back, and the call has its outcome', async () => {
  const rows: string[] = [];
  const record = { version: '1', said: [] };
  const executor = new Executor({
    audit: {
      intent: async () => void rows.push('intent'),
      attempt: async () => void rows.push('attempt'),
      outcome: async ({ status }) => void rows.push(`outcome ${status}`),
    },
    callTimeoutMs: 1000,
    policy: {
      watch: () => ({
        before: async () => ({ record }),
        after: async () => ({ payload: Buffer.from('{}'), record }),
      }),
      denies: () => false,
    },
  });
  const claims = { sub: 'u', name: 'ada', sid: 's', scopes: ['user'], client: 'cli' } as unknown as Claims;
  const cancellation = new Cancellation();
  const call = { server: serverConfig(), tool: 'echo', input: {}, claims, arrivedAt: 0, cancellation };
  const answer = Promise.resolve({ status: 'success' as const, payload: Buffer.from('{"as":"it was"}') });
  const running = { answer, abort: () => {} };
  const unable = () => {
    throw new RangeError('no room');
  };
  await expect(executor.execute(call, () => running, unable)).rejects.toBeInstanceOf(ExecutionError);
  expect(rows).toEqual(['intent', 'outcome failed']);
});
