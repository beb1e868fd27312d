import { domainToASCII } from 'node:url';

/** Of an address in all (RFC 5321 section 4.5.3.1.3), and of what stands before the @. */
const maxLength = 254;
const maxLocal = 64;

/** The part before the @, without quotes: letters, digits and what RFC 5321 section 4.1.2 calls an atom, with dots between. */
const localPart = /^[a-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[a-z0-9!#$%&'*+/=?^_`{|}~-]+)*$/;
const domainPart = /^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;

/**
 * A mail address in the one form in which it is stored, compared and written to; undefined when it is none. Normalised
 * before it is looked at: compatibility forms (NFKC) and case are folded, a domain in other scripts becomes ASCII
 * (`xn--…`, UTS 46). What is not ASCII before the @ after that is refused, so that two addresses that look alike are
 * never two accounts.
 */
export function normalizeEmail(text: string): string | undefined {
  if (text.length > 1000) return undefined;
  const folded = text.normalize('NFKC').trim().toLowerCase();
  const at = folded.lastIndexOf('@');
  if (at < 1) return undefined;
  const local = folded.slice(0, at);
  const domain = domainToASCII(folded.slice(at + 1));
  if (local.length > maxLocal || !localPart.test(local) || !domainPart.test(domain)) return undefined;
  const email = `${local}@${domain}`;
  return email.length > maxLength ? undefined : email;
}
