import { describe, expect, it } from 'vitest';
import { bars, reportText, type SoakReport } from './report.ts';

const recovery = { readyMs: 900, servingMs: 1_000, orders: [] };
const good: SoakReport = {
  seed: 1,
  minutes: 1,
  node: 'v24',
  episodes: [{ at: '', faults: [{ kind: 'kill-api', what: 'api' }], recovery, failedCalls: 3 }],
  calls: { sent: 10, acknowledged: 7, failed: 3, failures: { ECONNREFUSED: 3 } },
  audit: {
    intents: 8,
    outcomes: { success: 7, failed: 1 },
    acknowledged: 7,
    matching: 7,
    untrue: [],
    unrecorded: [],
    ranTwice: [],
    outcomesWithoutIntent: 0,
    invented: [],
    open: 0,
    chain: { rows: 15, unsealed: 0, findings: [] },
  },
  orphans: [],
  twins: [],
  left: { ports: [], sockets: [], files: [], processes: [] },
  growth: [],
  logs: [],
};
const audit = good.audit as NonNullable<SoakReport['audit']>;
const missed = (report: Partial<SoakReport>) =>
  bars({ ...good, ...report })
    .filter(({ met }) => !met)
    .map(({ bar }) => bar);

describe('the bars of the soak', () => {
  it('are met by a run in which nothing was lost', () => {
    expect(missed({})).toEqual([]);
    expect(reportText(good)).not.toContain('MISSED');
  });

  it.each<[string, Partial<SoakReport>, RegExp]>([
    ['an acknowledged call without its row', { audit: { ...audit, untrue: ['c1'] } }, /acknowledged call/],
    ['a call that no intent tells of', { audit: { ...audit, unrecorded: ['c1'] } }, /acknowledged call/],
    ['a call that ran twice', { audit: { ...audit, ranTwice: ['c1'] } }, /acknowledged call/],
    ['an outcome without an intent', { audit: { ...audit, outcomesWithoutIntent: 1 } }, /acknowledged call/],
    ['a call on record that no server ran', { audit: { ...audit, invented: ['c1'] } }, /acknowledged call/],
    [
      'an export that does not verify',
      { evidence: { unproven: ['verify'], flips: 1, unnoticed: [] } },
      /commands verify/,
    ],
    ['a byte that could be changed', { evidence: { unproven: [], flips: 1, unnoticed: ['byte 1'] } }, /flipped bytes/],
    ['a call that stays open', { audit: { ...audit, open: 1 } }, /stays open/],
    [
      'a row that was changed',
      { audit: { ...audit, chain: { ...audit.chain, findings: ['row_changed'] } } },
      /chain of the audit/,
    ],
    ['a row that nobody sealed', { audit: { ...audit, chain: { ...audit.chain, unsealed: 1 } } }, /chain of the audit/],
    ['an orphan', { orphans: ['process 1'] }, /orphan/],
    ['a twin', { twins: ['api'] }, /twin/],
    ['a port that is still held', { left: { ...good.left, ports: [1] } }, /nothing left/],
    [
      'a service that is ready too late',
      {
        episodes: [
          { ...(good.episodes[0] as SoakReport['episodes'][number]), recovery: { ...recovery, readyMs: 15_001 } },
        ],
      },
      /15 s of the last fault/,
    ],
  ])('are missed by %s', (_, report, bar) => {
    expect(missed(report)).toEqual([expect.stringMatching(bar)]);
    expect(reportText({ ...good, ...report })).toContain('MISSED');
  });

  it('are missed when nothing could be compared, and when something never came back', () => {
    expect(missed({ audit: undefined })).toHaveLength(3);
    expect(missed({ episodes: good.episodes.map((episode) => ({ ...episode, recovery: undefined })) })).toHaveLength(2);
  });
});
