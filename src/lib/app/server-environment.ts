import { z } from 'zod';

/** The process must not start as it is told to; sysexits.h calls it EX_CONFIG. */
export const configurationExitCode = 78;

/** What can't be right until somebody changes the configuration: a start with the same would fail likewise. */
export class StartRefusedError extends Error {
  override readonly name = 'StartRefusedError';
}

const identityKeyBytes = 32;

/** A variable that has to be there. */
export const filled = z.string('is not set').min(1, 'is empty');

/** What every process of a server is told: who it is, where it listens, and how it knows the router. */
export const serverVariables = {
  MCP_SERVICE_ID: filled,
  MCP_PORT: filled
    .regex(/^\d+$/, 'is not a port number')
    .transform(Number)
    .pipe(z.number().min(1, 'is not a port number').max(65_535, 'is not a port number')),
  SYSTEMPROMPT_SERVICE_INSTANCE: filled,
  SYSTEMPROMPT_IDENTITY_KEY: filled.refine((text) => decodeKey(text).length === identityKeyBytes, {
    message: `is not ${identityKeyBytes} bytes in base64url`,
  }),
  SYSTEMPROMPT_ROOT: filled,
};

/**
 * The environment of a server's process.
 * @throws StartRefusedError naming every variable that is wrong, and never the value of one
 */
export function checkEnvironment<T>(schema: z.ZodType<T>, env: NodeJS.ProcessEnv): T {
  const parsed = schema.safeParse(env);
  if (parsed.success) return parsed.data;
  const findings = parsed.error.issues.map((issue) => `${issue.path.join('.')} ${issue.message}`);
  throw new StartRefusedError(`Environment: ${findings.join('; ')}`);
}

export function decodeKey(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, 'base64url'));
}
