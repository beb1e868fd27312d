import { string as argument } from '@oclif/core/args';
import { boolean } from '@oclif/core/flags';
import { BaseCommand } from '../../../entry/cli/base-command.ts';
import { follows } from '../../../entry/cli/config-change.ts';
import { confirmed } from '../../../entry/cli/confirm.ts';
import { keySourceFlags, keySourceWish, refuseWhileRunning } from '../../../entry/cli/key-source.ts';
import { refuseLeftBehind } from '../../../entry/cli/left-behind.ts';
import { takenUp } from '../../../entry/cli/views/config-changes.ts';
import type { Artifact } from '../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../lib/shared/command.ts';
import { ConflictError, UsageError } from '../../../lib/shared/errors.ts';

export default class RotateSecrets extends BaseCommand<typeof RotateSecrets> {
  static override summary = 'Exchange the master key, or one generated secret';
  static override description =
    'Without a name all secrets are encrypted under a new master key; --to keeps it elsewhere. The former key still opens what ' +
    'is sealed in the database, until --retire seals that anew. With a name a secret that the system made gets a new value.';
  static override examples = [
    '<%= config.bin %> cloud secrets rotate',
    '<%= config.bin %> cloud secrets rotate --to keychain',
    '<%= config.bin %> cloud secrets rotate --to vault --vault-address https://vault.example.com --vault-key systemprompt',
    '<%= config.bin %> cloud secrets rotate --retire',
    '<%= config.bin %> cloud secrets rotate database.mcp.crm',
  ];
  static override declaration: CommandDeclaration = {
    effect: 'write',
    permission: 'admin',
    needs: 'profile',
    localOnly: true,
  };
  static override args = {
    name: argument({ ignoreStdin: true, description: 'A generated secret; the master key when none is named' }),
  };
  static override flags = {
    ...keySourceFlags,
    retire: boolean({ exclusive: ['to'], summary: 'Seal anew what former keys still open, then forget those keys' }),
    yes: boolean({ char: 'y', summary: 'Forget former keys without asking' }),
  };

  protected async execute(): Promise<Artifact> {
    const { name } = this.args;
    if (name === undefined) return this.flags.retire ? await this.#retire() : await this.#exchange();
    if (this.flags.retire || this.flags.to !== undefined) {
      throw new UsageError('--to and --retire are about the master key, and so go without a name', {
        next: ['cloud secrets rotate --help'],
      });
    }
    return await this.#replace(name);
  }

  async #exchange(): Promise<Artifact> {
    const instance = await this.context.instance();
    const wish = keySourceWish(this.flags);
    await refuseWhileRunning(this.context, instance, wish);
    const [{ rotateMasterKey }, { noteSecretEvent }] = await Promise.all([
      import('../../../lib/infra/config/secrets/rotation.ts'),
      import('../../../lib/infra/config/secrets/journal.ts'),
    ]);
    const done = await rotateMasterKey(instance.dir, wish, { env: this.context.options.env });
    await noteSecretEvent(instance, 'rotated', {
      master_key: done.to.kid,
      source: done.to.source,
      former: done.from.kid,
    });
    const lines = [`Exchanged the master key: ${done.secrets} secrets are encrypted anew (source: ${done.to.source})`];
    if (done.to.source === 'environment') {
      lines.push(
        'From now on SYSTEMPROMPT_MASTER_KEY has to hold the new key, where the system is started and for commands',
      );
    }
    lines.push('The former key still opens what is sealed in the database, until this command is run with --retire');
    return { type: 'text', content: lines.join('\n'), data: { ...done } };
  }

  async #retire(): Promise<Artifact> {
    const instance = await this.context.instance();
    const secrets = await this.context.secrets();
    const database = await this.context.database();
    const question = 'Forget the former master keys? Backups of the database from before can’t be read then';
    await confirmed({ id: 'cloud:secrets:rotate', effect: 'forgets keys', question }, this.flags, this.output.session);
    const [{ KeyService }, { resealCredentials }, { forgetFormerKeys }, { noteSecretEvent }] = await Promise.all([
      import('../../../lib/domain/auth/index.ts'),
      import('../../../lib/app/upstream/sealing.ts'),
      import('../../../lib/infra/config/secrets/rotation.ts'),
      import('../../../lib/infra/config/secrets/journal.ts'),
    ]);
    const keys = await new KeyService({ database, sealer: secrets, maxTokenTtlSeconds: 0 }).reseal();
    const resealed = keys + (await resealCredentials(database, secrets));
    const forgotten = await forgetFormerKeys(instance.dir);
    await noteSecretEvent(instance, 'retired', { keys: forgotten });
    if (forgotten === 0)
      return { type: 'text', content: 'There are no former master keys', data: { resealed, forgotten } };
    const lines = [
      `Sealed ${resealed} values anew and forgot ${forgotten} former master ${forgotten === 1 ? 'key' : 'keys'}`,
      'Digests of secrets are made anew as well, so that servers that get any are replaced once',
      takenUp(await follows(this.context), (command) => this.output.runnable(command)),
    ];
    return { type: 'text', content: lines.join('\n'), data: { resealed, forgotten } };
  }

  async #replace(name: string): Promise<Artifact> {
    const { replacedWhen, replaceGenerated } = await import('../../../lib/app/secrets/generated.ts');
    const { localUser, noteSecretEvent } = await import('../../../lib/infra/config/secrets/journal.ts');
    const when = replacedWhen(name);
    const instance = await this.context.instance();
    const running = (await this.context.runningStatus()) !== undefined;
    const again = `cloud secrets rotate ${name}`;
    if (when === 'stopped') {
      if (running) {
        throw new ConflictError(`${name} is in use by every process of the running system`, {
          hint: 'Stop it first; the next start takes the new value everywhere',
          next: ['infra services stop', again],
        });
      }
      await refuseLeftBehind(this.context, { done: 'stopped', command: 'infra services stop' });
    }
    const [secrets, profile] = [await this.context.secrets(), await this.context.profile()];
    const version = await replaceGenerated(name, { instance, profile, secrets, running, by: localUser() });
    await noteSecretEvent(instance, 'rotated', { secret: name, version });
    const then = takenUp(await follows(this.context), (command) => this.output.runnable(command));
    return { type: 'text', content: `Replaced ${name} (version ${version})\n${then}`, data: { name, version } };
  }
}
