import type { McpServerConfig } from '../../domain/mcp/index.ts';

/** A variable that a server reads, without its value. */
export interface ServerVariable {
  readonly name: string;
  readonly required: boolean;
  readonly secret: boolean;
  /** Whether the instance sets it, or each user brings it. */
  readonly from: 'instance' | 'user';
}

/** The variables of a server by name: those that are set, declared, handed on, or brought by users. */
export function variablesOf(server: McpServerConfig): ServerVariable[] {
  const from = 'instance' as const;
  return [
    ...Object.keys(server.env).map((name) => ({ name, required: true, secret: false, from })),
    ...server.variables.map(({ name, required, secret }) => ({ name, required, secret, from })),
    ...server.inheritedEnv.map((name) => ({ name, required: false, secret: false, from })),
    ...(server.process?.userVariables ?? []).map((name) => ({
      name,
      required: true,
      secret: true,
      from: 'user' as const,
    })),
  ];
}
