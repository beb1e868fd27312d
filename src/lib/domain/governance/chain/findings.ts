/** What a verification can find. */
export const findingKinds = [
  'row_changed',
  'row_missing',
  'row_inserted',
  'segment_damaged',
  'segment_missing',
  'checkpoint_forged',
  'checkpoint_missing',
  'key_untrusted',
  'truncated',
] as const;
export type FindingKind = (typeof findingKinds)[number];

export interface Finding {
  readonly kind: FindingKind;
  /** Number of the segment, where there is one. */
  readonly segment?: number | undefined;
  /** What exactly, in a sentence. */
  readonly message: string;
}

const kept = 100;

/** Findings as they come: the first hundred are kept, all are counted. */
export class Findings {
  readonly list: Finding[] = [];
  count = 0;

  add(kind: FindingKind, segment: number | undefined, message: string): void {
    this.count += 1;
    if (this.list.length < kept) this.list.push({ kind, ...(segment === undefined ? {} : { segment }), message });
  }
}
