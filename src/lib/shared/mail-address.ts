import { domainToASCII } from 'node:url';

/** RFC 5321 section 4.5.3.1. */
const maxLocal = 64;
const maxAddress = 254;

/** RFC 5322 dot-atom: quoted local parts are nobody's address any more, and hide things. */
const localForm = /^[a-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[a-z0-9!#$%&'*+/=?^_`{|}~-]+)*$/;
const domainForm = /^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;

/**
 * The one form in which a mail address is compared and kept; undefined when it is none. Everything is folded first
 * (Unicode NFKC, case, the name of the domain in its ASCII form) and judged after that, so that what looks like an
 * address, or becomes one by folding, is that address or is refused. Letters beyond ASCII before the `@` are refused:
 * they can be mistaken for others, and few mail servers take them.
 */
export function normaliseMailAddress(input: string): string | undefined {
  if (input.length > 1000) return undefined;
  const folded = input.normalize('NFKC').trim().toLowerCase();
  const at = folded.lastIndexOf('@');
  const local = folded.slice(0, Math.max(at, 0));
  const given = folded.slice(at + 1).replace(/\.$/, '');
  // What a URL would take for the end of a host must not reach the parser.
  if (/[\s/?#@:[\]\\%]/.test(given)) return undefined;
  const domain = domainToASCII(given);
  if (local.length > maxLocal || !localForm.test(local) || !domainForm.test(domain)) return undefined;
  // A number as the last label is an IPv4 address in one of its spellings.
  if (/(^|\.)\d+$/.test(domain)) return undefined;
  const address = `${local}@${domain}`;
  return address.length > maxAddress ? undefined : address;
}
