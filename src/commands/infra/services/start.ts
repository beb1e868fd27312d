import { string } from '@oclif/core/args';
import { boolean, integer } from '@oclif/core/flags';
import { BaseCommand } from '../../../entry/cli/base-command.ts';
import { Interrupts } from '../../../entry/cli/interrupt.ts';
import { supervisorOrLeft } from '../../../entry/cli/left-behind.ts';
import { followStart, partlyStarted } from '../../../entry/cli/live/follow.ts';
import { stayAttached } from '../../../entry/cli/live/foreground.ts';
import { giveOrder } from '../../../entry/cli/live/order.ts';
import { openReporter } from '../../../entry/cli/live/reporter.ts';
import { phasesFrom } from '../../../entry/cli/live/startup.ts';
import { namedServices, orderFlags } from '../../../entry/cli/order-flags.ts';
import { startedCard } from '../../../entry/cli/views/started.ts';
import type { SupervisorClient } from '../../../lib/app/supervisor/client.ts';
import type { InstanceStatus } from '../../../lib/app/supervisor/status.ts';
import type { Instance } from '../../../lib/infra/config/instance.ts';
import type { Artifact } from '../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../lib/shared/command.ts';
import {
  AppError,
  CancelledError,
  ConflictError,
  isNotRunning,
  PartialError,
  TimeoutError,
  UsageError,
} from '../../../lib/shared/errors.ts';

export default class Start extends BaseCommand<typeof Start> {
  static override summary = 'Start the database, the API and the MCP servers';
  static override description =
    'Creates the local instance in the current folder when there is none. The services go on in the background; ' +
    'with --foreground this command stays and stops them on Ctrl-C (a second Ctrl-C: at once). ' +
    'Services that are named are started, and what they stand on, in a system that is running.';
  static override examples = [
    '<%= config.bin %> infra services start',
    '<%= config.bin %> infra services start --foreground',
    '<%= config.bin %> infra services start mcp:systemprompt --timeout 30s',
    '<%= config.bin %> infra services start --port 8090',
  ];
  static override declaration: CommandDeclaration = {
    effect: 'write',
    permission: 'admin',
    needs: 'supervisor',
    localOnly: true,
  };
  static override args = {
    services: string({
      multiple: true,
      ignoreStdin: true,
      description: 'Names or kinds (api, mcp, database); everything when none is named',
    }),
  };
  static override flags = {
    ...orderFlags,
    port: integer({
      min: 1,
      max: 65_535,
      env: 'SYSTEMPROMPT_SERVER_PORT',
      helpValue: '<number>',
      summary: 'Serve the API on this port instead of the profile’s',
    }),
    foreground: boolean({ char: 'f', summary: 'Stay attached and stop everything on Ctrl-C' }),
  };

  protected async execute(): Promise<Artifact> {
    const names = namedServices('start', this.args, this.flags);
    this.#refuseContradictions(names);
    if (names.length > 0) {
      const wanted = ['infra services start', ...names].join(' ').slice(0, 200);
      return await this.#order(
        await supervisorOrLeft(this.context, names, { done: 'started', command: wanted }),
        names,
      );
    }
    const instance = await this.#instance();
    const running = await connectIfRunning(instance);
    if (running === undefined) return await this.#start(instance, true);
    try {
      const { supervisor, profile } = await running.status();
      const { state } = supervisor;
      await this.#refuseOther(profile);
      if (state === 'running') return await this.#alreadyRunning(running);
      // One that is about to end must be gone before the next can come; one that is booting is ours to watch.
      if (state !== 'booting') await untilEnded(running, this.flags.timeout * 1000);
      return await this.#start(instance, state !== 'booting');
    } finally {
      running.close();
    }
  }

  #refuseContradictions(names: readonly string[]): void {
    const { foreground, port, wait } = this.flags;
    if (foreground && !wait) throw new UsageError('--foreground and --no-wait exclude each other');
    const whole = foreground ? '--foreground' : port !== undefined && this.#portFlagGiven() ? '--port' : undefined;
    if (names.length === 0 || whole === undefined) return;
    throw new UsageError(`${whole} is about the whole system, not about single services`, {
      next: [`infra services start ${names.join(' ').slice(0, 80)}`],
    });
  }

  /** Not by the environment, where it is set for every command. */
  #portFlagGiven(): boolean {
    return this.argv.some((word) => word === '--port' || word.startsWith('--port='));
  }

  async #order(client: SupervisorClient, names: readonly string[]): Promise<Artifact> {
    const { table, failure } = await giveOrder('start', client, names, this.flags);
    this.verdict = failure;
    return table;
  }

  async #instance(): Promise<Instance> {
    const { locateInstance, newInstanceRoot, createLocalInstance } = await import(
      '../../../lib/infra/config/instance.ts'
    );
    const { cwd, env, profile } = this.context.options;
    const found = await locateInstance(cwd, env, profile);
    if (found !== undefined) return found;
    const created = await createLocalInstance(newInstanceRoot(cwd, env), env);
    this.output.note(`Created the local instance in ${created.dir}`);
    return created;
  }

  async #start(instance: Instance, launch: boolean): Promise<Artifact> {
    const { output, flags } = this;
    const { env } = this.context.options;
    // A flag reaches the configuration as environment (config.loadProfile): it outranks the profile's file.
    if (flags.port !== undefined) env['SYSTEMPROMPT_SERVER_PORT'] = String(flags.port);
    const { launchSupervisor } = await import('../../../lib/infra/process/launch.ts');
    const before = phasesFrom(env);
    const reporter = await openReporter(output, before);
    let client: SupervisorClient | undefined;
    let seen = 0;
    const stop = (now: boolean): void => {
      // The stream of events tells the outcome; an answer that can't come any more is none.
      client?.shutdown(now).catch((error: unknown) => {
        if (error instanceof TimeoutError) output.note(error.message);
      });
    };
    using interrupts = new Interrupts((count, signal) => {
      if (!flags.foreground) return;
      if (count === 2) output.note('Stopping at once');
      if (count === 1) output.note(signal === 'SIGINT' ? 'Stopping; Ctrl-C again stops at once' : 'Stopping');
      stop(count > 1);
    });
    try {
      if (launch) await launchSupervisor(instance, (await this.context.activeProfile()).name, env);
      const { SupervisorClient } = await import('../../../lib/app/supervisor/client.ts');
      client = await SupervisorClient.connect(instance.controlSocket, instance.runDir);
      if (flags.foreground && interrupts.first !== undefined) stop(false);
      if (!flags.wait) {
        await reporter.close();
        const look = output.runnable('infra services status');
        return { type: 'text', content: `Starting; look with ${look}`, data: { ready: false } };
      }
      const status = await followStart(client, reporter, {
        signal: interrupts.signal,
        timeoutMs: flags.timeout * 1000,
        keepPartial: !flags.foreground,
        seen: (seq) => {
          seen = seq;
        },
      });
      await reporter.close();
      // Stopped by name under an earlier supervisor, they stayed so until somebody asks: this order does.
      if (status.services.some(({ state }) => state === 'stopped')) return await this.#alreadyRunning(client);
      const ownerLink = output.session.json ? undefined : await ownerLinkOf(client);
      const card = this.#card(status, 'systemprompt is running', [...before, ...status.phases], undefined, ownerLink);
      if (!flags.foreground) return card;
      output.artifactLine(card);
      const { followOutbox, outboxFolder } = await import('../../../lib/infra/mail/outbox.ts');
      const unfollow = output.session.json
        ? () => {}
        : followOutbox(outboxFolder(instance), ({ to, link }) => output.note(`Mail to ${to}: ${link}`));
      const artifact = await stayAttached(client, output, seen, interrupts).finally(unfollow);
      this.exitStatus = interrupts.exitCode;
      return artifact;
    } catch (error) {
      await reporter.close();
      const stops = error instanceof CancelledError || error instanceof PartialError;
      if (error instanceof PartialError && flags.foreground) stop(false);
      if (stops && flags.foreground && client !== undefined) await stayAttached(client, output, seen, interrupts);
      throw error instanceof CancelledError ? interrupted(error, flags.foreground, interrupts.first) : error;
    } finally {
      client?.close();
    }
  }

  /** Profiles of one tenant take turns. @throws ConflictError when it runs by another one */
  async #refuseOther(running: string): Promise<void> {
    const { name } = await this.context.activeProfile();
    if (running === name) return;
    throw new ConflictError(`The system runs already, by the profile \`${running}\`, and not by \`${name}\`.`, {
      hint: 'Both are for the same tenant: stop it first.',
      data: { running, wanted: name },
      next: ['infra services stop', 'infra services status'],
    });
  }

  /** Starts again what is not ready; what runs is left alone. @throws PartialError naming what did not become ready */
  async #alreadyRunning(client: SupervisorClient): Promise<Artifact> {
    const before = await client.status();
    const refused = before.supervisor.configuration?.valid === false;
    if (!refused && before.services.every(({ state }) => state === 'ready'))
      return this.#card(before, 'systemprompt is running already', [], before);
    if (!this.flags.wait) return await this.#order(client, []);
    const { result } = await giveOrder('start', client, [], this.flags);
    const status = await client.status();
    if (result.failed.length > 0) throw partlyStarted(status.services, result.failed, true);
    return this.#card(status, 'systemprompt is running', [], before);
  }

  #card(
    status: InstanceStatus,
    title: string,
    phases: readonly { name: string; ms: number }[],
    before?: InstanceStatus,
    ownerLink?: string,
  ): Artifact {
    const { output } = this;
    return startedCard({
      status,
      title,
      phases,
      runnable: (command) => output.runnable(command),
      foreground: this.flags.foreground && phases.length > 0,
      port: this.flags.port,
      before,
      ownerLink,
    });
  }
}

/** A link for the owner who has no passkey yet. A start that succeeded says so, also when no link can be made. */
async function ownerLinkOf(client: SupervisorClient): Promise<string | undefined> {
  try {
    const { url } = (await client.request('POST', '/v1/session/owner-link', {})) as { url?: string };
    return url;
  } catch (error) {
    if (error instanceof AppError) return undefined;
    throw error;
  }
}

async function connectIfRunning(instance: Instance): Promise<SupervisorClient | undefined> {
  const { SupervisorClient } = await import('../../../lib/app/supervisor/client.ts');
  try {
    return await SupervisorClient.connect(instance.controlSocket, instance.runDir);
  } catch (error) {
    if (!isNotRunning(error)) throw error;
    return undefined;
  }
}

/** @throws TimeoutError when it has not ended in time */
async function untilEnded(client: SupervisorClient, timeoutMs: number): Promise<void> {
  const timeout = AbortSignal.timeout(timeoutMs);
  for await (const event of client.events(timeout)) if (event.type === 'stopped') return;
  if (!timeout.aborted) return;
  throw new TimeoutError(`The supervisor is stopping and has not ended within ${Math.round(timeoutMs / 1000)} s`, {
    next: ['infra services status', 'infra services stop --now'],
  });
}

function interrupted(error: CancelledError, foreground: boolean, signal: string | undefined): CancelledError {
  if (foreground) return new CancelledError('Interrupted', { data: { signal }, cause: error });
  return new CancelledError('Interrupted', {
    hint: 'The services go on starting in the background',
    next: ['infra services status', 'infra services stop'],
    data: { signal },
    cause: error,
  });
}
