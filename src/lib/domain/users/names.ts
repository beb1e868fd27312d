import { z } from 'zod';
import { normaliseMailAddress } from '../../shared/mail-address.ts';

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** The name of a user: never one that could be read as an id, and never an erased user's. */
export const userName = z
  .string()
  .regex(/^[a-z0-9][a-z0-9._-]{0,62}$/, 'must be 1 to 63 lower-case letters, digits, dots, dashes and underscores')
  .refine((name) => !uuid.test(name), 'must not look like an id')
  .refine((name) => !name.startsWith('deleted-'), 'must not begin with deleted-');

/** How a user is called by a person: any text of one line. */
export const displayName = z
  .string()
  .trim()
  .min(1, 'must not be empty')
  .max(200, 'must have 200 characters at most')
  .refine((text) => !/\p{Cc}/u.test(text) && text.isWellFormed(), 'must be one line of text');

/** A mail address, normalised. */
export const emailAddress = z.string().transform((text, context) => {
  const email = normaliseMailAddress(text);
  if (email !== undefined) return email;
  context.addIssue({ code: 'custom', message: 'must be a mail address, with letters of ASCII before the @' });
  return z.NEVER;
});

/** What a text can be that is to name a user. */
export type Handle = { readonly id: string } | { readonly email: string } | { readonly name: string };

/** Reads an id, a mail address or a name; each has a form that the others can't have. */
export function handleOf(text: string): Handle {
  const lower = text.trim().toLowerCase();
  if (uuid.test(lower)) return { id: lower };
  if (text.includes('@')) return { email: normaliseMailAddress(text) ?? lower };
  return { name: lower };
}
