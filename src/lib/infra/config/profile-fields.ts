import { z } from 'zod';

// Kinds of values that several sections of the profile have.

export const plainNameMessage = 'must have lower-case letters, digits and dashes only, at most 50';

/** A port that any user may listen on. */
export const listeningPort = z.int().min(1024).max(65_535);

/** A range of ports, both ends included. */
export function portRange(low: number, high: number, what: string) {
  return z
    .tuple([listeningPort, listeningPort])
    .refine(([from, to]) => from <= to, {
      error: 'must begin with the lower port',
      params: { hint: `write it as [${low}, ${high}]` },
    })
    .default([low, high])
    .describe(`First and last port that ${what} may listen on, both included.`);
}

/** Scheme, host and port of an http address, and nothing else (RFC 6454 section 6.2). */
export function httpOrigin() {
  return (
    z
      .string()
      .refine(isHttpOrigin, {
        error: 'must be an http or https address without path, query, user or trailing slash',
        params: { hint: 'write it as https://host or http://host:port' },
      })
      // For editors: a refinement says nothing in JSON Schema.
      .meta({ pattern: '^https?://[^/?#@\\s]+$' })
  );
}

function isHttpOrigin(value: string): boolean {
  if (!URL.canParse(value)) return false;
  const url = new URL(value);
  return (url.protocol === 'http:' || url.protocol === 'https:') && url.origin === value;
}

/** What may stand in a header: printable ASCII (RFC 9110 section 5.5). */
export function headerValue() {
  return z
    .string()
    .regex(/^[\x20-\x7E]{1,2000}$/, 'must be one line of printable ASCII, at most 2000 characters')
    .refine((value) => value.trim() === value, { error: 'must not begin or end with a space' });
}
