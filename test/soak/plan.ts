/** What is done to the system. Each is a kind of accident, or of an order, that the supervisor promises to get over. */
export const faultKinds = {
  'kill-api': 10,
  'kill-mcp': 12,
  'kill-database': 6,
  'kill-backend': 4,
  'kill-grandchild': 5,
  'kill-supervisor': 8,
  'pause-service': 6,
  'freeze-service': 3,
  'pause-supervisor': 3,
  'steal-port-api': 3,
  'steal-port-mcp': 4,
  'restart-database': 4,
  'restart-api': 8,
  'restart-mcp': 8,
  'stop-start-race': 6,
  'start-race': 4,
} as const;

export type FaultKind = keyof typeof faultKinds;

/** One fault as drawn; every draw uses up the same number of chances, so that one seed always gives one plan. */
export interface PlannedFault {
  readonly kind: FaultKind;
  /** From 0 to 1: which of those that could be meant. */
  readonly pick: number;
  /** Pause before it, in ms. */
  readonly afterMs: number;
  /** How long it lasts, where it lasts: a pause, a stolen port. In ms. */
  readonly holdMs: number;
  /** The next fault follows without waiting until everything is ready again. */
  readonly burst: boolean;
}

/** Numbers from 0 to 1 that depend on the seed alone (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** An endless plan. @param only draws from these kinds alone */
export function* planFaults(seed: number, only: readonly FaultKind[] = []): Generator<PlannedFault, never, undefined> {
  const random = seeded(seed);
  const all = Object.entries(faultKinds) as [FaultKind, number][];
  const kinds = only.length === 0 ? all : all.filter(([kind]) => only.includes(kind));
  const total = weightOf(kinds);
  for (;;) {
    const [draw, pick, after, hold, burst] = [random(), random(), random(), random(), random()];
    const kind = kinds.find((_, index) => draw * total < weightOf(kinds.slice(0, index + 1)))?.[0] ?? 'kill-mcp';
    yield {
      kind,
      pick,
      afterMs: Math.round(200 + 2_300 * after ** 2),
      holdMs: Math.round(200 + 3_000 * hold),
      burst: burst < 0.25,
    };
  }
}

function weightOf(kinds: readonly (readonly [FaultKind, number])[]): number {
  return kinds.reduce((sum, [, weight]) => sum + weight, 0);
}
