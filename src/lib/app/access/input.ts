import type { z } from 'zod';
import { UsageError } from '../../shared/errors.ts';

/**
 * Checks one value that somebody gave.
 * @param what names it in the error: `The name`
 * @throws UsageError saying what is wrong with it
 */
export function checked<T>(schema: z.ZodType<T>, value: unknown, what: string): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new UsageError(`${what} ${parsed.error.issues[0]?.message ?? 'is not valid'}`, { cause: parsed.error });
}
