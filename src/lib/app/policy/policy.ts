import { hash } from 'node:crypto';
import { auditInput, canonicalJson, redactText } from '../../domain/governance/index.ts';
import type { McpServerConfig, ToolHook } from '../../domain/mcp/index.ts';
import { type AppError, ForbiddenError, RateLimitedError, toAppError } from '../../shared/errors.ts';
import type { ExecutionId } from '../../shared/ids.ts';
import type { ToolCall } from '../executor/call.ts';
import type { After, Before, Ended, PolicyRecord, Said, ToolPolicy, Watch } from '../executor/policy.ts';
import { resultOf, withResult } from './answer.ts';
import { longName, type ToolMatcher } from './matcher.ts';
import type { QuotaCounter } from './quotas.ts';
import { type Rule, secretKinds, withoutSecrets } from './rules.ts';
import { HookFailedError, type HookRunner } from './runners.ts';
import { type HookCall, readAfter, readBefore } from './verdict.ts';

/** One rule or hook, ready to be asked. */
export interface ReadyHook {
  readonly hook: ToolHook;
  /** What the audit calls it. */
  readonly name: string;
  readonly matches: ToolMatcher;
  /** What it is asked with, whichever it has. */
  readonly rule?: Rule | undefined;
  readonly runner?: HookRunner | undefined;
}

/** Obtains approvals. */
export interface ApprovalDesk {
  /**
   * An approval for exactly this call; asks for one where there is none yet.
   * @throws AppError when there is none: then the call is refused
   */
  obtain(request: ApprovalRequest, call: ToolCall): Promise<Approval>;
  /** Uses it up. @throws AppError when somebody else did, or its time is over */
  use(approval: Approval, executionId: ExecutionId): Promise<void>;
}

export interface ApprovalRequest {
  /** SHA-256 of the canonical arguments that would be sent. */
  readonly digest: string;
  /** The same for people, redacted. */
  readonly inputJson: string;
  readonly policyVersion: string;
  readonly reason: string;
  readonly approver: 'caller' | 'other';
}

export interface Approval {
  readonly id: string;
  readonly by: string;
}

export interface PolicyOptions {
  /** For all servers, asked before a server's own. */
  readonly global: readonly ReadyHook[];
  readonly own: ReadonlyMap<string, readonly ReadyHook[]>;
  readonly quotas: QuotaCounter;
  readonly approvals: ApprovalDesk;
  /** The project's folder. */
  readonly root: string;
}

/** Names of tools that are remembered for each server; callers may call what they like. */
const maxTools = 1000;

/** The rules and hooks of the configuration, asked in the order in which they are written. */
export class HookPolicy implements ToolPolicy {
  readonly #options: PolicyOptions;
  readonly #known = new Map<string, Map<string, Watch | undefined>>();

  constructor(options: PolicyOptions) {
    this.#options = options;
  }

  watch({ name: server }: McpServerConfig, tool: string, via?: string): Watch | undefined {
    const key = via === undefined ? server : `${server} ${via}`;
    let tools = this.#known.get(key);
    if (tools === undefined) {
      tools = new Map();
      this.#known.set(key, tools);
    }
    if (tools.has(tool)) return tools.get(tool);
    const hooks = this.#hooksOf(server, tool, via);
    const watch = hooks.length === 0 ? undefined : new ToolWatch(hooks, this.#options);
    if (tools.size < maxTools) tools.set(tool, watch);
    return watch;
  }

  denies({ name: server }: McpServerConfig, tool: string, via?: string): boolean {
    const always = ({ hook }: ReadyHook) => hook.type === 'deny' && hook.arguments === undefined;
    return this.#hooksOf(server, tool, via).some(always);
  }

  #hooksOf(server: string, tool: string, via: string | undefined): readonly ReadyHook[] {
    const { global, own } = this.#options;
    const all = [...global, ...(own.get(server) ?? []), ...(via === undefined ? [] : (own.get(via) ?? []))];
    const fits = ({ matches }: ReadyHook) => matches(server, tool) || (via !== undefined && matches(via, tool));
    return all.filter(fits);
  }
}

/** What one walk through the hooks has come to. */
interface Walk {
  input: unknown;
  rewritten: boolean;
  readonly said: Said[];
  ask: { readonly reason: string; readonly approver: 'caller' | 'other' } | undefined;
}

class ToolWatch implements Watch {
  readonly after: Watch['after'];
  readonly during: Watch['during'];
  readonly #hooks: readonly ReadyHook[];
  readonly #options: PolicyOptions;
  readonly #version: string;

  constructor(hooks: readonly ReadyHook[], options: PolicyOptions) {
    this.#hooks = hooks;
    this.#options = options;
    this.#version = hash('sha256', canonicalJson(hooks.map(({ hook }) => hook)), 'hex').slice(0, 16);
    if (hooks.some(looksAtAnswers)) this.after = (...args) => this.#after(...args);
    const scanners = hooks.flatMap(({ hook, name }) =>
      hook.type === 'secrets' && hook.on.includes('output') ? [{ hook, name }] : [],
    );
    if (scanners.length > 0) {
      this.during = (message, said) =>
        scanners.reduce((text, { hook, name }) => withoutMessageSecrets(hook, name, text, said), message);
    }
  }

  async before(call: ToolCall, executionId: ExecutionId): Promise<Before> {
    const walk: Walk = { input: call.input, rewritten: false, said: [], ask: undefined };
    let approval: PolicyRecord['approval'];
    let refusal: AppError | undefined;
    try {
      for (const hook of this.#hooks) await this.#askBefore(hook, call, executionId, walk);
      // A hook may have brought in what a rule before it refuses; what was rewritten itself is not looked at again.
      if (walk.rewritten) for (const hook of this.#hooks) if (hook.rule !== undefined) askRule(hook, walk, 'again');
      approval = await this.#approval(call, executionId, walk);
    } catch (error) {
      refusal = toAppError(error);
      const { id } = (refusal.data['approval'] as { id?: string } | undefined) ?? {};
      if (id !== undefined) approval = { id, state: String(refusal.data['reason']) };
    }
    const audited = walk.rewritten ? auditInput(walk.input, call.server.tools.get(call.tool)?.secret) : undefined;
    const rewritten = audited && { digest: audited.digest, input: JSON.parse(audited.json) as unknown };
    return {
      refusal,
      rewritten: walk.rewritten ? { input: walk.input } : undefined,
      approved: approval?.state === 'approved',
      record: { version: this.#version, said: walk.said, rewritten, approval },
    };
  }

  async #askBefore(ready: ReadyHook, call: ToolCall, executionId: ExecutionId, walk: Walk): Promise<void> {
    if (ready.rule !== undefined) return askRule(ready, walk, 'first');
    const { hook, runner, name } = ready;
    if (runner === undefined || !('events' in hook) || !hook.events.includes('PreToolUse')) return;
    const since = performance.now();
    const note = (verdict: string, reason?: string) => {
      walk.said.push(saying(name, verdict, reason, performance.now() - since));
    };
    let answer: ReturnType<typeof readBefore>;
    try {
      answer = readBefore(await runner(hookCall('PreToolUse', call, executionId, walk.input, this.#options.root)));
    } catch (error) {
      note('failed', failureText(error));
      throw refused(`The hook ${name} failed, so the call is refused.`, name);
    }
    note(answer.verdict, 'reason' in answer ? answer.reason : undefined);
    if (answer.verdict === 'deny') throw refused(`Refused by ${name}: ${shown(answer.reason)}`, name);
    if (answer.verdict === 'ask') walk.ask ??= { reason: answer.reason, approver: 'caller' };
    if (answer.verdict === 'rewrite') rewrite(walk, answer.input);
  }

  /** Counts the call, after everything else was for it; an approval is used up last of all. */
  async #approval(call: ToolCall, executionId: ExecutionId, walk: Walk): Promise<PolicyRecord['approval']> {
    const { ask } = walk;
    if (ask === undefined) {
      await this.#count(call, walk);
      return undefined;
    }
    const { approvals } = this.#options;
    const { digest, json } = auditInput(walk.input, call.server.tools.get(call.tool)?.secret);
    const request = { digest, inputJson: json, policyVersion: this.#version, ...ask };
    const approval = await approvals.obtain(request, call);
    await this.#count(call, walk);
    await approvals.use(approval, executionId);
    return { id: approval.id, state: 'approved', by: approval.by };
  }

  async #count(call: ToolCall, walk: Walk): Promise<void> {
    for (const { hook, name } of this.#hooks) {
      if (hook.type !== 'quota') continue;
      const waitMs = await this.#options.quotas.take(name, hook, call);
      if (waitMs === undefined) continue;
      const seconds = Math.max(1, Math.ceil(waitMs / 1000));
      walk.said.push(saying(name, 'deny', 'The quota is used up.'));
      throw new RateLimitedError(`The quota ${name} is used up: ${hook.limit} calls in ${hook.per_seconds} s.`, {
        hint: `Wait ${seconds} s.`,
        data: { reason: 'policy', rule: name, retry_after_seconds: seconds },
      });
    }
  }

  async #after(call: ToolCall, executionId: ExecutionId, input: unknown, ended: Ended): Promise<After> {
    const said: Said[] = [];
    const record = { version: this.#version, said };
    let payload: Buffer | undefined;
    try {
      for (const ready of this.#hooks) {
        if (!looksAtAnswers(ready)) continue;
        payload =
          (await this.#askAfter(
            ready,
            call,
            executionId,
            input,
            { ...ended, payload: payload ?? ended.payload },
            said,
          )) ?? payload;
      }
    } catch (error) {
      return { refusal: toAppError(error), record };
    }
    return { payload, record };
  }

  /** @returns the answer that takes the place of the one before, if one does */
  async #askAfter(
    { hook, name, runner }: ReadyHook,
    call: ToolCall,
    executionId: ExecutionId,
    input: unknown,
    ended: Ended,
    said: Said[],
  ): Promise<Buffer | undefined> {
    const { payload } = ended;
    if (hook.type === 'secrets')
      return payload === undefined ? undefined : withoutOutputSecrets(hook, name, payload, said);
    if (ended.atWork === true) return undefined;
    const event = ended.status === 'success' ? 'PostToolUse' : 'PostToolUseFailure';
    if (runner === undefined || !('events' in hook) || !hook.events.includes(event)) return undefined;
    const since = performance.now();
    let answer: ReturnType<typeof readAfter>;
    try {
      const about = hookCall(event, call, executionId, input, this.#options.root);
      const response = payload === undefined ? {} : { tool_response: resultOf(payload) };
      const error = ended.error === undefined ? {} : { error: ended.error };
      answer = readAfter(await runner({ ...about, ...response, ...error }));
    } catch (error) {
      said.push(saying(name, 'failed', failureText(error), performance.now() - since));
      throw heldBack(`The hook ${name} failed, so the answer is held back.`, name);
    }
    said.push(saying(name, answer.verdict, 'reason' in answer ? answer.reason : undefined, performance.now() - since));
    if (answer.verdict === 'deny') throw heldBack(`The answer was held back by ${name}: ${shown(answer.reason)}`, name);
    if (answer.verdict === 'allow' || payload === undefined) return undefined;
    const { content, structuredContent } = answer.output;
    return withResult(payload, (result) => {
      const { structuredContent: _, ...rest } = result as { readonly structuredContent?: unknown };
      return { ...rest, content: content ?? [], ...(structuredContent && { structuredContent }) };
    });
  }
}

/** The answer without its secrets, or nothing when it has none. @throws AppError when they are not to be let out at all */
function withoutOutputSecrets(
  { action }: Extract<ToolHook, { type: 'secrets' }>,
  name: string,
  payload: Buffer,
  said: Said[],
): Buffer | undefined {
  const kinds = secretKinds(JSON.parse(payload.toString('utf8')));
  if (kinds.length === 0) return undefined;
  const reason = `The answer holds a secret: ${kinds.join(', ')}.`;
  said.push(saying(name, action, reason));
  if (action === 'deny') throw heldBack(`The answer was held back by ${name}: ${reason}`, name);
  return withResult(payload, withoutSecrets as (result: object) => object);
}

/** What only programs read: it names something, and is no text of the tool's. */
const names: ReadonlySet<string> = new Set(['progressToken', 'taskId', 'requestState']);

/** A message that comes before an answer, without its secrets. @throws AppError when they are not to be let out at all */
function withoutMessageSecrets(
  { action }: Extract<ToolHook, { type: 'secrets' }>,
  name: string,
  text: string,
  said: Said[],
): string {
  const message = JSON.parse(text) as Record<string, unknown>;
  const parts = ['params', 'result', 'error'].filter((part) => typeof message[part] === 'object' && message[part]);
  const texts = (part: string) =>
    Object.fromEntries(Object.entries(message[part] as object).filter(([member]) => !names.has(member)));
  const kinds = [...new Set(parts.flatMap((part) => secretKinds(texts(part))))];
  if (kinds.length === 0) return text;
  const reason = `What the server said on the way holds a secret: ${kinds.join(', ')}.`;
  if (!said.some((one) => one.by === name && one.reason === reason)) said.push(saying(name, action, reason));
  if (action === 'deny') throw heldBack(`The answer was held back by ${name}: ${reason}`, name);
  const blanked = parts.map((part) => [
    part,
    { ...(message[part] as object), ...(withoutSecrets(texts(part)) as object) },
  ]);
  return JSON.stringify({ ...message, ...Object.fromEntries(blanked) });
}

function looksAtAnswers({ hook }: ReadyHook): boolean {
  if (hook.type === 'secrets') return hook.on.includes('output');
  return 'events' in hook && hook.events.some((event) => event !== 'PreToolUse');
}

function askRule({ rule, hook, name }: ReadyHook, walk: Walk, time: 'first' | 'again'): void {
  const answer = rule?.(walk.input) ?? { verdict: 'allow' };
  if (answer.verdict === 'allow') return;
  if (answer.verdict === 'ask') {
    const approver = hook.type === 'ask' ? hook.approver : 'caller';
    // The stricter one counts.
    if (walk.ask === undefined || approver === 'other') walk.ask = { reason: answer.reason, approver };
    if (time === 'first') walk.said.push(saying(name, 'ask', answer.reason));
    return;
  }
  walk.said.push(saying(name, answer.verdict, answer.reason));
  if (answer.verdict === 'deny') throw refused(`Refused by ${name}: ${answer.reason}`, name);
  rewrite(walk, answer.input);
}

function rewrite(walk: Walk, input: unknown): void {
  walk.input = input;
  walk.rewritten = true;
}

function hookCall(
  event: HookCall['hook_event_name'],
  call: ToolCall,
  executionId: ExecutionId,
  input: unknown,
  root: string,
): HookCall {
  const { claims, server, tool, via } = call;
  return {
    hook_event_name: event,
    session_id: claims.sid,
    cwd: root,
    tool_name: longName(server.name, tool),
    tool_input: input,
    tool_use_id: executionId,
    server: server.name,
    tool,
    ...(via === undefined ? {} : { via }),
    user: { id: claims.sub, name: claims.name },
    client: claims.client,
    scopes: claims.scopes,
  };
}

function saying(by: string, verdict: string, reason?: string, ms?: number): Said {
  return {
    by,
    verdict,
    ...(reason === undefined ? {} : { reason: redactText(reason, undefined, 300) }),
    ...(ms === undefined ? {} : { ms: Math.round(ms * 10) / 10 }),
  };
}

function failureText(error: unknown): string {
  return error instanceof HookFailedError || error instanceof SyntaxError ? error.message : 'it failed';
}

/** What a hook says may quote what it saw. */
function shown(reason: string): string {
  return redactText(reason, undefined, 500);
}

function refused(message: string, rule: string): ForbiddenError {
  return new ForbiddenError(message, { data: { reason: 'policy', rule } });
}

function heldBack(message: string, rule: string): ForbiddenError {
  return new ForbiddenError(message, {
    hint: 'The tool has run; what it did stays done.',
    data: { reason: 'policy', rule },
  });
}
