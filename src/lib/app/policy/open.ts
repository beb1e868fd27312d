import { forgetApprovals } from '../../domain/governance/index.ts';
import type { McpServerConfig, ToolHook } from '../../domain/mcp/index.ts';
import { resolveSecretReference, type SecretStore } from '../../infra/config/secrets.ts';
import type { Database } from '../../infra/database/connection.ts';
import { createGuardedFetch } from '../../infra/http/guarded-fetch.ts';
import type { Logger } from '../../infra/logging/logger.ts';
import { PreconditionError } from '../../shared/errors.ts';
import { Approvals } from '../approvals/desk.ts';
import type { ToolPolicy } from '../executor/policy.ts';
import { SharedAllowances } from '../rate-limit/shared-allowances.ts';
import { type Directory, Upstreams } from '../router/upstreams.ts';
import { extensionRunner } from './extension-runner.ts';
import { matcherOf } from './matcher.ts';
import { type ApprovalDesk, HookPolicy, type ReadyHook } from './policy.ts';
import { type QuotaCounter, Quotas } from './quotas.ts';
import { ruleOf } from './rules.ts';
import { commandRunner, httpRunner } from './runners.ts';

/** How long approvals stay to be looked at after their end, in days, and how often old ones are removed, in ms. */
const keptDays = 30;
const sweepMs = 3_600_000;

export interface OpenPolicyOptions {
  /** `tool_hooks` of the settings. */
  readonly hooks: readonly ToolHook[];
  readonly servers: readonly McpServerConfig[];
  /** The project's folder. */
  readonly root: string;
  readonly secrets: Pick<SecretStore, 'require'>;
  readonly quotas: QuotaCounter;
  readonly approvals: ApprovalDesk;
  /** The ways to the servers that have hooks of extensions. */
  readonly upstreams?: Pick<Upstreams, 'to'> | undefined;
}

/** The rules and hooks of an API process, and what they stand on. */
export interface OpenToolPolicy {
  /** Absent when none are configured, so that calls cost what they did without. */
  readonly policy: ToolPolicy | undefined;
  readonly approvals: Approvals;
  close(): Promise<void>;
}

/** @throws PreconditionError for a secret that is missing */
export async function openToolPolicy({
  configuration,
  database,
  directory,
  log,
}: {
  readonly configuration: Pick<OpenPolicyOptions, 'secrets' | 'servers'> & {
    readonly instance: { readonly root: string };
    readonly profile: { readonly server: { readonly workers: number } };
    readonly toolHooks: readonly ToolHook[];
  };
  readonly database: Database;
  readonly directory: Directory;
  readonly log: Logger;
}): Promise<OpenToolPolicy> {
  const { instance, profile, secrets, servers, toolHooks } = configuration;
  const allowances = new SharedAllowances({
    database,
    // One more while a process hands over to its successor.
    processes: profile.server.workers + 1,
    burst: 1,
    onFailure: (err) => log.warn({ err }, 'Quotas are counted by this process alone: the database was not to be asked'),
  });
  const approvals = new Approvals({ database });
  const sweeper = setInterval(() => {
    forgetApprovals(database, keptDays).catch((err) => log.warn({ err }, 'Old approvals could not be removed'));
  }, sweepMs).unref();
  const quotas = new Quotas(allowances);
  const all = [...toolHooks, ...servers.flatMap(({ hooks = [] }) => hooks)];
  const upstreams = all.some(({ type }) => type === 'extension')
    ? new Upstreams(directory, new Uint8Array(Buffer.from(await secrets.require('identity.root'), 'base64url')))
    : undefined;
  const { root } = instance;
  const policy = await openPolicy({ hooks: toolHooks, servers, root, secrets, quotas, approvals, upstreams });
  return {
    policy,
    approvals,
    close: async () => {
      clearInterval(sweeper);
      allowances.close();
      await upstreams?.close();
      await approvals.close();
    },
  };
}
/**
 * The rules and hooks of the configuration, ready to be asked; nothing when none are configured, so that calls cost what
 * they did without.
 * @throws PreconditionError for a secret that is missing
 */
export async function openPolicy(options: OpenPolicyOptions): Promise<ToolPolicy | undefined> {
  const own = new Map<string, readonly ReadyHook[]>();
  const fetch = createGuardedFetch();
  const ready = (hooks: readonly ToolHook[], of: string) =>
    Promise.all(hooks.map((hook, index) => readyHook(hook, `${of}${hook.type}-${index + 1}`, options, fetch)));
  const global = await ready(options.hooks, 'all-');
  for (const { name, hooks = [] } of options.servers) {
    if (hooks.length > 0) own.set(name, await ready(hooks, ''));
  }
  if (global.length === 0 && own.size === 0) return undefined;
  const { root, quotas, approvals } = options;
  return new HookPolicy({ global, own, root, quotas, approvals });
}

async function readyHook(
  hook: ToolHook,
  fallback: string,
  { root, secrets, upstreams }: OpenPolicyOptions,
  fetch: ReturnType<typeof createGuardedFetch>,
): Promise<ReadyHook> {
  const known = { hook, name: hook.name ?? fallback, matches: matcherOf(hook.tools) };
  switch (hook.type) {
    case 'command':
      return { ...known, runner: commandRunner(hook, root) };
    case 'http':
      return { ...known, runner: httpRunner(hook, await resolveSecretReference(hook.key, secrets), fetch) };
    case 'extension':
      if (upstreams === undefined) throw new PreconditionError('There is no way to the servers of extensions here.');
      return { ...known, runner: extensionRunner(hook, upstreams) };
    case 'quota':
      return known;
    default:
      return { ...known, rule: await ruleOf(hook) };
  }
}
