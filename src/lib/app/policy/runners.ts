import { createHmac } from 'node:crypto';
import { isAbsolute, join } from 'node:path';
import type { ToolHook } from '../../domain/mcp/index.ts';
import type { GuardedFetch } from '../../infra/http/guarded-fetch.ts';
import { runTool } from '../../infra/process/run-tool.ts';
import type { HookCall } from './verdict.ts';

type Of<T extends ToolHook['type']> = Extract<ToolHook, { type: T }>;

/** Asks a hook; the text of its answer. Rejects when it has none, for whatever reason: then the hook has failed. */
export type HookRunner = (call: HookCall) => Promise<string>;

/** Largest answer of a hook, in bytes: it may carry the whole output of a tool. */
export const maxAnswerBytes = 10 * 1024 * 1024;
/** How many programs run at once; further ones wait, and their time runs. */
const maxPrograms = 16;

/** A hook that failed, in words for the audit; what it wrote is for nobody but its own log. */
export class HookFailedError extends Error {
  override readonly name = 'HookFailedError';
}

/** A hook of Claude Code that ends with 2 refuses; why is on its standard error. */
const refusedExit = 2;

const running = { programs: 0, waiting: [] as (() => void)[] };

/** A program: the call as JSON on standard input, its verdict on standard output. */
export function commandRunner(hook: Of<'command'>, root: string): HookRunner {
  // A name is looked up on PATH; anything with a slash is a file of the project.
  const file = hook.command.includes('/') && !isAbsolute(hook.command) ? join(root, hook.command) : hook.command;
  const env = environment();
  return async (call) => {
    const until = performance.now() + hook.timeout_ms;
    await turn(until);
    try {
      const run = await runTool({
        file,
        args: hook.args,
        env,
        cwd: root,
        input: `${JSON.stringify(call)}\n`,
        timeoutMs: Math.max(1, until - performance.now()),
        maxOutputBytes: maxAnswerBytes,
        maxErrorBytes: 4096,
        graceMs: 200,
      });
      if (run.timedOut) throw new HookFailedError(`it took longer than ${hook.timeout_ms} ms`);
      if (run.exitCode === refusedExit) {
        return JSON.stringify({ decision: 'deny', reason: run.stderr.trim().slice(0, 500) || 'Refused.' });
      }
      if (run.exitCode !== 0) throw new HookFailedError(`it ended with ${run.exitCode ?? run.signal}`);
      if (run.truncated) throw new HookFailedError('its answer is too large');
      return run.stdout;
    } catch (error) {
      if (error instanceof HookFailedError) throw error;
      throw new HookFailedError(`it could not be started (${codeOf(error)})`, { cause: error });
    } finally {
      running.programs -= 1;
      running.waiting.shift()?.();
    }
  };
}

async function turn(until: number): Promise<void> {
  while (running.programs >= maxPrograms) {
    const left = until - performance.now();
    let timer: NodeJS.Timeout | undefined;
    const late = await new Promise<boolean>((resolve) => {
      const go = () => resolve(false);
      running.waiting.push(go);
      timer = setTimeout(() => {
        running.waiting.splice(running.waiting.indexOf(go), 1);
        resolve(true);
      }, left);
    });
    clearTimeout(timer);
    if (late) throw new HookFailedError('too many hooks run at once');
  }
  running.programs += 1;
}

/** Nothing of the API's own: its environment may hold keys. */
function environment(): Record<string, string> {
  const names = ['PATH', 'HOME', 'LANG', 'TMPDIR'];
  return Object.fromEntries(
    names.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]])),
  );
}

/**
 * An address: the call by POST, signed in the manner of Standard Webhooks (https://www.standardwebhooks.com): HMAC-SHA256
 * over id, time and body.
 * @param key what signs; `whsec_<base64>` or a text as it stands
 */
export function httpRunner(hook: Of<'http'>, key: string, fetch: GuardedFetch): HookRunner {
  const secret = key.startsWith('whsec_') ? Buffer.from(key.slice(6), 'base64') : Buffer.from(key);
  return async (call) => {
    const body = JSON.stringify(call);
    const id = `${call.tool_use_id}.${call.hook_event_name}`;
    const time = Math.floor(Date.now() / 1000);
    const signature = createHmac('sha256', secret).update(`${id}.${time}.${body}`).digest('base64');
    let answer: Awaited<ReturnType<GuardedFetch>>;
    try {
      answer = await fetch(hook.url, {
        maxBytes: maxAnswerBytes,
        timeoutMs: hook.timeout_ms,
        privateNetwork: hook.private_network,
        body,
        headers: {
          'content-type': 'application/json',
          'webhook-id': id,
          'webhook-timestamp': String(time),
          'webhook-signature': `v1,${signature}`,
        },
      });
    } catch (error) {
      const late = error instanceof Error && error.name === 'TimeoutError';
      const why = late ? `it took longer than ${hook.timeout_ms} ms` : 'it could not be reached';
      throw new HookFailedError(why, { cause: error });
    }
    if (answer.status !== 200) throw new HookFailedError(`it answered with status ${answer.status}`);
    return answer.body.toString('utf8');
  };
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
}
