type CheckState = 'ok' | 'warn' | 'fail';

/** What a check says. */
export interface Finding {
  readonly state: CheckState;
  readonly detail: string;
  /** The command that mends it, without the prefix the CLI was called with. */
  readonly fix?: string;
  /** The command of the system that mends it, as it is typed into a shell. */
  readonly shell?: string;
}
