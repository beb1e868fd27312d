import { z } from 'zod';
import { serverNameForm } from '../../shared/server-name.ts';

// Fields that several kinds of configuration file have alike.

/** Text that says something: not empty, not only spaces. @param what what to write, as the hint */
export function saying(what: string) {
  return z.string().refine((value) => value.trim() !== '', { error: 'must not be empty', params: { hint: what } });
}

/** A scope of a token: a permission tier or a name of one's own (RFC 6749 section 3.3, `scope-token`). */
export const scopeField = z
  .string()
  .regex(/^[\x21\x23-\x5B\x5D-\x7E]{1,200}$/, 'must be a scope: printable characters without spaces and quotes');

export const environmentName = z
  .string()
  .regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'must be the name of an environment variable');

/** A port that a process of ours listens on. */
export const servicePort = z.int().min(1024).max(65_535);

/** A name of letters, digits, dashes and underscores, as it stands in addresses and folders. */
export const slug = z
  .string()
  .regex(
    /^[a-z][a-z0-9_-]{1,63}$/,
    'must have lower-case letters, digits, dashes and underscores only, begin with a letter, 2 to 64',
  );

/** The name of an MCP server. */
export const serverName = z
  .string()
  .regex(serverNameForm, 'must have lower-case letters, digits and dashes only, begin with a letter, at most 50');

/** A version by semver.org 2.0.0. */
export const semanticVersion = z
  .string()
  .regex(/^\d{1,9}\.\d{1,9}\.\d{1,9}(-[0-9A-Za-z.-]{1,64})?(\+[0-9A-Za-z.-]{1,64})?$/, {
    error: 'must be a version such as 1.0.0',
  });

export const webAddress = z
  .string()
  .refine((value) => URL.canParse(value) && /^https?:$/.test(new URL(value).protocol), {
    error: 'must be an http or https address',
    params: { hint: 'write it as https://host/path' },
  })
  // For editors: a refinement says nothing in JSON Schema.
  .meta({ pattern: '^https?://\\S+$' });

/** Most tokens that a model may answer with. */
export const outputTokens = z.int().min(1).max(10_000_000);

/** Which model to ask, where it differs from the default. */
export const modelChoice = z
  .strictObject({
    provider: z
      .string()
      .min(1)
      .optional()
      .describe('Provider, by its name in `ai.providers`. Default: the default one.'),
    model: z
      .string()
      .min(1)
      .optional()
      .describe('Model, by the name that the provider gives it. Default: its default.'),
    max_output_tokens: outputTokens
      .optional()
      .describe('Most tokens of an answer. Default: `ai.default_max_output_tokens`.'),
  })
  .describe('The model.');
