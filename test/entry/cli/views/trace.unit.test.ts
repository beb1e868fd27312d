import { expect, it } from 'vitest';
import { traceTable } from '../../../../src/entry/cli/views/trace.ts';
import { type ApprovalOf, traceOf } from '../../../../src/lib/app/logs/trace.ts';
import type { AuditEntry } from '../../../../src/lib/domain/governance/index.ts';
import { artifactText } from '../../../../src/lib/shared/artifact-text.ts';
import { temporaryFolder } from '../../../helpers/temporary-folder.ts';

const begin = Date.parse('2026-01-31T12:00:00.000Z');
const idAt = (ms: number, last: string): AuditEntry['executionId'] => {
  const time = (begin + ms).toString(16).padStart(12, '0');
  return `${time.slice(0, 8)}-${time.slice(8)}-7000-8000-${last.padStart(12, '0')}` as AuditEntry['executionId'];
};
const trace = '4bf92f3577b34da6a3ce929d0e0e4736';
const call = (ms: number, last: string, more: Partial<AuditEntry>): AuditEntry => ({
  executionId: idAt(ms, last),
  server: 'demo',
  tool: 'echo',
  userId: 'u',
  userName: 'ada',
  sessionId: 's',
  scopes: [],
  required: [],
  inputDigest: '',
  input: {},
  decision: 'allowed',
  startedAt: new Date(begin + ms),
  status: 'success',
  apiInstance: 'a',
  traceId: trace,
  ...more,
});
const first = call(0, '1', {
  latencyUs: 100_000,
  upstreamUs: 40_000,
  recordedAt: new Date(begin + 110),
  policy: {
    version: 'v',
    said: [{ by: 'hook', verdict: 'allow', ms: 20 }],
    approval: { id: 'approval-1', state: 'approved', by: 'grace' },
  },
  answerPolicy: { version: 'v', said: [{ by: 'scan', verdict: 'allow', ms: 10 }] },
});
const open = call(50, '2', { tool: 'wait', status: 'open', via: 'team' });

const approvalOf: ApprovalOf = async () =>
  ({ state: 'used', askedAt: new Date(begin + 20), decidedAt: new Date(begin + 50) }) as Awaited<
    ReturnType<ApprovalOf>
  >;
async function told(calls: AuditEntry[], id: string) {
  await using folder = await temporaryFolder();
  const audit = {
    startingWith: async (_actor: unknown, prefix: string) =>
      calls.filter(({ executionId }) => executionId.startsWith(prefix)),
    ofTrace: async (_actor: unknown, prefix: string) => calls.filter(({ traceId }) => traceId?.startsWith(prefix)),
  };
  const query = async () => [];
  const database = { query, transaction: async (work: (tx: unknown) => unknown) => await work({ query }) };
  const rows = { audit, actor: {}, installationId: '', database } as never;
  return await traceOf({ logsDir: folder.path, services: [], rows }, id, new Date(begin), approvalOf);
}

it('a trace is the time of its calls, and what rules, people and servers took of it', async () => {
  const found = await told([first, open], trace);
  expect(found.spans.map(({ name, startMs, durationMs }) => [name, startMs, durationMs])).toEqual([
    ['call echo', 0, 100],
    ['hook: allow', 0, 20],
    ['approval: used by grace', 20, 30],
    ['server demo', 50, 40],
    ['scan: allow', 90, 10],
    ['call wait via team', 50, undefined],
  ]);
  expect(found.spans.filter(({ parent }) => parent === first.executionId)).toHaveLength(4);
  const table = traceTable(found, undefined);
  expect(table.notes).toEqual(['A call of it is not over, or was never recorded to be']);
  const text = artifactText(table, { width: 100 });
  expect(text).toContain(`${'█'.repeat(24)}`);
  expect(text).toMatch(/└ server demo +mcp:demo +50 ms +40 ms +·{12}█{9}·{3}$/m);
  expect(text).toMatch(/call wait via team .*·{12}◆·{11}$/m);
  expect(table.items[3]).toMatchObject({ kind: 'server', start_ms: 50, duration_ms: 40, parent_id: first.executionId });
});

it('is found by its id, by a call of it, and by how one begins; several that begin so are told apart', async () => {
  expect((await told([first, open], open.executionId)).calls).toHaveLength(2);
  expect((await told([first], trace.slice(0, 10))).id).toBe(trace);
  const alone = call(0, '3', { traceId: undefined as never });
  expect((await told([alone], alone.executionId)).id).toBe(alone.executionId);
  await expect(told([first, open], first.executionId.slice(0, 8))).rejects.toMatchObject({ code: 'USAGE' });
  const other = call(0, '4', { traceId: `${trace.slice(0, 12)}00000000000000000000` });
  await expect(told([first, other], trace.slice(0, 12))).rejects.toMatchObject({ code: 'USAGE' });
  await expect(told([], trace)).rejects.toMatchObject({ code: 'NOT_FOUND', next: ['admin audit list'] });
});
