import type { AppError, ErrorCode } from '../../lib/shared/errors.ts';

/** What helps when the error itself does not say. */
const lookups: Readonly<Partial<Record<ErrorCode, string>>> = {
  CONFIG_INVALID: 'doctor',
  PRECONDITION: 'doctor',
  PORT_TAKEN: 'doctor',
  DATABASE_UNAVAILABLE: 'doctor',
  SUPERVISOR_UNAVAILABLE: 'doctor',
  INTERNAL: 'doctor',
  API_UNAVAILABLE: 'infra services status',
  AUDIT_UNAVAILABLE: 'infra services status',
  UPSTREAM_UNAVAILABLE: 'infra services status',
  UPSTREAM_FAILED: 'infra services status',
  CONFLICT: 'infra services status',
  TIMEOUT: 'infra services status',
  PARTIAL: 'infra services status',
  UNAUTHENTICATED: 'admin session login',
};

interface Place {
  /** Of the command that failed, if it came to one. */
  readonly id: string | undefined;
  /** Of all commands. */
  readonly ids: readonly string[];
  /** Through the MCP tool, which has no sign-in of its own. */
  readonly delegated: boolean;
}

/** The commands that help with an error: its own, else where to look, else the help. Only a run that was ended has none. */
export function nextCommands(error: AppError, { id, ids, delegated }: Place): readonly string[] {
  if (error.next.length > 0 || error.code === 'CANCELLED') return error.next;
  const command = lookups[error.code];
  const known =
    command !== undefined && ids.includes(command.replaceAll(' ', ':')) && command.replaceAll(' ', ':') !== id;
  const signIn = command === 'admin session login' && delegated;
  if (known && !signIn) return [command];
  return [`${(id ?? '').replaceAll(':', ' ')} --help`.trim()];
}
