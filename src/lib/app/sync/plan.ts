export type Direction = 'to-db' | 'to-disk';

/** Who wins where both sides have changed: `ours` the files, `theirs` the database, `merge` line by line. */
export type Strategy = 'ours' | 'theirs' | 'merge';

/** One file as each side has it, by digest; `undefined` where it is not. */
export interface Sides {
  readonly path: string;
  readonly files: string | undefined;
  readonly database: string | undefined;
  /** When both were last the same. */
  readonly base: string | undefined;
}

/**
 * What is done about a file. `keep`: both sides are the same; `ahead`, `behind`: files or database have a change that this
 * direction does not carry; `write` and `delete`: one side follows the other; `merge`, `conflict`: both have changed.
 */
export interface SyncStep {
  readonly path: string;
  readonly kind: 'keep' | 'ahead' | 'behind' | 'write' | 'delete' | 'merge' | 'conflict';
  /** Which side is changed, where one is. */
  readonly on?: 'database' | 'files';
  /** Both sides have changed, and a strategy decided. */
  readonly contested?: boolean;
}

/** What leads both sides together in one direction. Pure: this is what `--dry-run` prints. */
export function planSync(sides: readonly Sides[], direction: Direction, strategy: Strategy | undefined): SyncStep[] {
  return sides.map((side) => ({ path: side.path, ...judge(side, direction, strategy) }));
}

function judge(side: Sides, direction: Direction, strategy: Strategy | undefined): Omit<SyncStep, 'path'> {
  const { files, database, base } = side;
  if (files === database) return { kind: 'keep' };
  if (database === base) return direction === 'to-db' ? follow('database', files) : { kind: 'ahead' };
  if (files === base) return direction === 'to-disk' ? follow('files', database) : { kind: 'behind' };
  if (strategy === 'ours') return { ...follow('database', files), contested: true };
  if (strategy === 'theirs') return { ...follow('files', database), contested: true };
  // One that one side has deleted can't be put together with what the other side wrote.
  const both = files !== undefined && database !== undefined && base !== undefined;
  return strategy === 'merge' && both ? { kind: 'merge', contested: true } : { kind: 'conflict' };
}

function follow(on: 'database' | 'files', wanted: string | undefined): Omit<SyncStep, 'path'> {
  return { kind: wanted === undefined ? 'delete' : 'write', on };
}
