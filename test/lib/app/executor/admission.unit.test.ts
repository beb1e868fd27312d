import { expect, it } from 'vitest';
import { type AdmissionCheck, Cancellation } from '../../../../src/lib/app/executor/call.ts';
import { ExecutionError, Executor } from '../../../../src/lib/app/executor/executor.ts';
import type { Claims } from '../../../../src/lib/domain/auth/index.ts';
import { ForbiddenError } from '../../../../src/lib/shared/errors.ts';
import { serverConfig } from '../../../helpers/server-config.ts';

function rig(admission: readonly AdmissionCheck[]) {
  const rows: string[] = [];
  const executor = new Executor({
    audit: {
      intent: async ({ decision }) => void rows.push(`intent ${decision}`),
      attempt: async ({ decision }, { error }) => void rows.push(`attempt ${decision}: ${error}`),
      outcome: async ({ status }) => void rows.push(`outcome ${status}`),
    },
    callTimeoutMs: 1000,
    admission,
  });
  const claims = { sub: 'u', name: 'ada', sid: 's', scopes: ['user'], client: 'cli' } as unknown as Claims;
  const call = {
    server: serverConfig(),
    tool: 'echo',
    input: {},
    claims,
    arrivedAt: 0,
    cancellation: new Cancellation(),
  };
  let sent = 0;
  const made = () =>
    executor
      .execute(call, () => {
        sent += 1;
        return { answer: Promise.resolve({ status: 'success' as const, payload: Buffer.alloc(0) }), abort: () => {} };
      })
      .then(
        () => 'answered',
        (thrown: unknown) => (thrown instanceof ExecutionError ? thrown.error : thrown),
      );
  return { rows, made, sent: () => sent };
}

it('the first refusal of the checks counts, is on record, and nothing is sent', async () => {
  const asked: string[] = [];
  const held = new ForbiddenError('This tool is held back.', { data: { reason: 'held' } });
  const test = rig([
    () => void asked.push('one'),
    async () => {
      asked.push('two');
      return held;
    },
    () => void asked.push('three'),
  ]);
  expect(await test.made()).toBe(held);
  expect(test.rows).toEqual(['attempt refused: This tool is held back.']);
  expect(asked).toEqual(['one', 'two']);
  expect(test.sent()).toBe(0);
});

it('a check that fails refuses', async () => {
  const test = rig([
    () => {
      throw new ForbiddenError('broken');
    },
  ]);
  expect(await test.made()).toMatchObject({ message: 'broken' });
  expect(test.rows).toEqual(['attempt refused: broken']);
  const rejected = rig([() => Promise.reject(new TypeError('of ours'))]);
  expect(await rejected.made()).toMatchObject({ code: 'INTERNAL' });
  expect(rejected.sent()).toBe(0);
});

it('checks that say nothing let the call through', async () => {
  const test = rig([() => undefined, async () => undefined]);
  expect(await test.made()).toBe('answered');
  expect(test.rows).toEqual(['intent allowed', 'outcome success']);
});
