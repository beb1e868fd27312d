import { string } from '@oclif/core/args';
import { boolean } from '@oclif/core/flags';
import { BaseCommand } from '../../entry/cli/base-command.ts';
import { Interrupts } from '../../entry/cli/interrupt.ts';
import { builtTable } from '../../entry/cli/views/built.ts';
import type { BuiltExtension } from '../../lib/app/build/build.ts';
import type { Artifact } from '../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../lib/shared/command.ts';
import { CancelledError, ConfigInvalidError, TimeoutError } from '../../lib/shared/errors.ts';

export default class BuildMcp extends BaseCommand<typeof BuildMcp> {
  static override summary = "Compile and check the project's MCP servers";
  static override description =
    'Bundles each extension of the project into dist/, loads it in a process of its own, and checks what it exports ' +
    'against its manifest.yaml and services/mcp/. What fails leaves what was built before.';
  static override examples = [
    '<%= config.bin %> build mcp',
    '<%= config.bin %> build mcp hello --force',
    '<%= config.bin %> build mcp --watch',
  ];
  static override declaration: CommandDeclaration = {
    effect: 'write',
    permission: 'admin',
    needs: 'none',
    localOnly: true,
  };
  static override args = {
    names: string({
      multiple: true,
      ignoreStdin: true,
      description: 'Names of extensions; all that are enabled when none is named',
    }),
  };
  static override flags = {
    force: boolean({ summary: 'Build also what has not changed', exclusive: ['watch'] }),
    watch: boolean({ summary: 'Go on building what changes, and restart what runs of it, until Ctrl-C' }),
  };

  protected async execute(): Promise<Artifact> {
    const { openBuild } = await import('../../lib/app/build/session.ts');
    const build = await openBuild(this.context.options, this.args.names ?? []);
    using interrupts = new Interrupts();
    if (this.flags.watch) {
      const { showWatch } = await import('../../entry/cli/views/watched-build.ts');
      const shown = await showWatch(this.output, build, this.context, interrupts.signal);
      this.exitStatus = interrupts.exitCode;
      return shown;
    }
    const results = await build.run({ force: this.flags.force, signal: interrupts.signal }).catch((error: unknown) => {
      if (!(error instanceof CancelledError)) throw error;
      throw new CancelledError('Interrupted; what was built before is still there', {
        data: { signal: interrupts.first },
        cause: error,
      });
    });
    const issues = results.flatMap((result) => result.issues);
    if (issues.length > 0) this.verdict = new ConfigInvalidError(issues);
    return builtTable(results, await this.#inForce(build.root, results));
  }

  /** What runs goes on with the former build until it is told: said once there is another one of something that runs. */
  async #inForce(root: string, results: readonly BuiltExtension[]): Promise<string[]> {
    if (!results.some(({ changed, servers }) => changed && servers.length > 0)) return [];
    if ((await this.context.findInstance())?.root !== root) return [];
    try {
      if ((await this.context.runningStatus()) === undefined) return [];
    } catch (error) {
      if (!(error instanceof TimeoutError)) throw error; // a supervisor that hangs is no fault of the build
    }
    return [`What runs takes it up when it is told to: ${this.output.runnable('infra services reconcile')}`];
  }
}
