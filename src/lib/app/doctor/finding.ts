type CheckState = 'ok' | 'warn' | 'fail';

/** What a check says. `fix` is a command without the prefix the CLI was called with. */
export interface Finding {
  readonly state: CheckState;
  readonly detail: string;
  readonly fix?: string;
}
