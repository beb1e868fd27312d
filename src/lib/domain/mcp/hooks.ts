import { z } from 'zod';
import { secretReference } from '../../infra/config/secret-reference.ts';

/** When a hook is asked: before a call is sent, after it was answered, after it failed. */
export const hookEvents = ['PreToolUse', 'PostToolUse', 'PostToolUseFailure'] as const;
export type HookEvent = (typeof hookEvents)[number];

const maxPattern = 1000;

const pattern = z
  .string()
  .min(1)
  .max(maxPattern)
  .refine(isPattern, { error: 'is no regular expression', params: { hint: 'write one as JavaScript has them' } });

const shared = {
  name: z
    .string()
    .regex(/^[a-z0-9][a-z0-9_-]{0,63}$/i, 'must be a word of letters, digits, _ and -')
    .optional()
    .describe('What the audit calls it. Default: its type and its place in the list.'),
  tools: z
    .string()
    .max(maxPattern)
    .default('*')
    .refine((matcher) => isPlainMatcher(matcher) || isPattern(matcher), {
      error: 'is neither names nor a regular expression',
      params: { hint: 'write names with | between them, * for all, or a regular expression' },
    })
    .describe(
      'Which tools: `*` for all, names with `|` between them, or a regular expression, of the name or of `mcp__<server>__<name>`.',
    ),
};

const reason = z.string().min(1).max(500).optional().describe('What the caller is told.');
const argumentPatterns = z
  .record(z.string().min(1), pattern)
  .refine((patterns) => Object.keys(patterns).length > 0, 'names no argument')
  .describe('Regular expressions by argument: a path with dots, or `*` for any text anywhere. All of them must match.');
const timeout = z.int().min(100).max(60_000).default(5000).describe('How long it may take, in milliseconds.');
const events = z
  .array(z.enum(hookEvents))
  .min(1)
  .default(['PreToolUse'])
  .describe('When it is asked: PreToolUse, PostToolUse, PostToolUseFailure.');

const secrets = z
  .strictObject({
    type: z.literal('secrets'),
    ...shared,
    on: z
      .array(z.enum(['input', 'output']))
      .min(1)
      .default(['input', 'output'])
      .describe('Where it looks.'),
    action: z.enum(['deny', 'redact']).default('deny').describe('What becomes of a call, or an answer, with a secret.'),
  })
  .describe('Looks for what has the shape of a secret: private keys, tokens, keys with a known prefix.');

const deny = z
  .strictObject({ type: z.literal('deny'), ...shared, arguments: argumentPatterns.optional(), reason })
  .describe('Refuses tools, or arguments that match.');

const ask = z
  .strictObject({
    type: z.literal('ask'),
    ...shared,
    arguments: argumentPatterns.optional(),
    reason,
    approver: z
      .enum(['caller', 'other'])
      .default('caller')
      .describe('Who approves: `caller` may do so at the client; `other`: an admin who is not the caller.'),
  })
  .describe('Has each call approved.');

const schema = z
  .strictObject({
    type: z.literal('schema'),
    ...shared,
    schema: z.record(z.string(), z.unknown()).describe('JSON Schema (draft 7) that the arguments must satisfy.'),
    reason,
  })
  .describe('Refuses arguments that do not satisfy a JSON Schema.');

const quota = z
  .strictObject({
    type: z.literal('quota'),
    ...shared,
    limit: z.int().min(1).max(1_000_000).describe('How many calls.'),
    per_seconds: z.int().min(1).max(31_536_000).describe('In how many seconds the whole quota comes back.'),
    per: z.enum(['user', 'client', 'server']).default('user').describe('Who has a quota of their own.'),
    each_tool: z.boolean().default(false).describe('Whether each tool is counted by itself.'),
  })
  .describe('Refuses calls beyond a number in a time, counted over all API processes.');

const command = z
  .strictObject({
    type: z.literal('command'),
    ...shared,
    events,
    command: z
      .string()
      .min(1)
      .describe('Program: a name on PATH, or a path from the project folder. There is no shell.'),
    args: z.array(z.string()).default([]).describe('Its arguments.'),
    timeout_ms: timeout,
  })
  .describe('A program that gets the call as JSON on standard input and answers with a verdict on standard output.');

const http = z
  .strictObject({
    type: z.literal('http'),
    ...shared,
    events,
    url: z
      .url({ protocol: /^https?$/, error: 'must be an http address' })
      .describe('Address that the call is posted to.'),
    key: z
      .string()
      .refine((value) => secretReference(value) !== undefined, {
        error: 'must be a secret',
        params: { hint: 'keep it with cloud secrets set, and write ${secret:NAME}' },
      })
      .meta({ secretReference: true })
      .describe('Secret that signs the body, as `${secret:NAME}` (Standard Webhooks, HMAC-SHA256).'),
    private_network: z.boolean().default(false).describe('Whether http and addresses that are not public are allowed.'),
    timeout_ms: timeout,
  })
  .refine(({ url, private_network: inside }) => inside || !url.startsWith('http:'), {
    path: ['url'],
    error: 'is not https',
    params: { hint: 'use https, or write private_network: true' },
  })
  .describe('An address that gets the call by POST, signed, and answers with a verdict.');

const extension = z
  .strictObject({
    type: z.literal('extension'),
    ...shared,
    events,
    extension: z.string().min(1).max(200).describe('Server of this configuration that is built with defineMcpServer.'),
    hook: z
      .string()
      .regex(/^[A-Za-z0-9._-]{1,128}$/, 'must be a name of letters, digits, _, - and .')
      .describe('Which of its `hooks`.'),
    timeout_ms: timeout,
  })
  .describe('A function of an extension, which runs in the process of its server.');

/** One rule or hook. */
export const toolHookSchema = z.discriminatedUnion('type', [
  secrets,
  deny,
  ask,
  schema,
  quota,
  command,
  http,
  extension,
]);
export type ToolHook = z.output<typeof toolHookSchema>;

/** `hooks` of a server, and `tool_hooks` of the settings: asked in this order. */
export const toolHooksSchema = z.array(toolHookSchema).max(100);

/** Whether a matcher is made of names alone, so that it means exactly those. */
export function isPlainMatcher(matcher: string): boolean {
  return matcher === '' || matcher === '*' || /^[\w\-,| ]+$/.test(matcher);
}

function isPattern(source: string): boolean {
  try {
    new RegExp(source, 'u');
    return true;
  } catch {
    return false;
  }
}
