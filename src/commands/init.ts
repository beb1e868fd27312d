import { resolve } from 'node:path';
import { string } from '@oclif/core/args';
import { boolean, option, string as text } from '@oclif/core/flags';
import { askConfirm, askSelect, askText, canAsk } from '../entry/cli/ask.ts';
import { BaseCommand } from '../entry/cli/base-command.ts';
import { Interrupts } from '../entry/cli/interrupt.ts';
import { createdProject } from '../entry/cli/views/created-project.ts';
import { type TemplateName, templateNames } from '../lib/app/init/template-names.ts';
import type { Artifact } from '../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../lib/shared/command.ts';
import { PartialError } from '../lib/shared/errors.ts';

const command = 'init';

export default class Init extends BaseCommand<typeof Init> {
  static override summary = 'Begin a project';
  static override description =
    'Writes a project with configuration, an MCP server in TypeScript with its test, editor settings and a CI workflow. ' +
    'At a terminal it asks for what no flag says. Nothing is overwritten: the folder must be empty, or not there yet.';
  static override examples = [
    '<%= config.bin %> init my-project',
    '<%= config.bin %> init my-project --name search --install',
    '<%= config.bin %> init . --template minimal --yes',
  ];
  static override declaration: CommandDeclaration = {
    effect: 'write',
    permission: 'anonymous',
    needs: 'none',
    localOnly: true,
  };
  static override args = { dir: string({ ignoreStdin: true, description: 'Folder of the project; . is this one' }) };
  static override flags = {
    name: text({ helpValue: '<name>', summary: "Name of the project and of its server; the folder's unless told" }),
    template: option({ options: templateNames, summary: 'What to begin with; mcp-server unless told' })(),
    package: text({
      helpValue: '<spec>',
      summary: 'Install systemprompt from here: a version, a tarball, a folder; this version unless told',
    }),
    install: boolean({ allowNo: true, summary: 'Run npm install in the project' }),
    yes: boolean({ char: 'y', summary: 'Ask nothing: this folder, unless one is named, and defaults' }),
  };

  protected async execute(): Promise<Artifact> {
    const { cwd, env } = this.context.options;
    const { initProject, installPackages } = await import('../lib/app/init/init.ts');
    const { requireFreeFolder } = await import('../lib/app/init/create-project.ts');
    const folder = resolve(cwd, await this.#folder());
    // Before anything is asked about a project that can't be there.
    await requireFreeFolder(folder);
    const name = await this.#name(folder);
    const template = await this.#template();
    const install = await this.#install();
    const project = await initProject({ folder, name, template, package: this.flags.package, cwd, env });
    using interrupts = new Interrupts();
    if (install && !this.output.session.json) this.output.note('npm install …');
    const fault = install ? await installPackages(folder, env, interrupts.signal) : undefined;
    if (fault !== undefined) {
      this.verdict = new PartialError(`The project is there, but npm install failed: ${fault}`, {
        hint: `Mend it and run npm install in ${folder}; --package says where systemprompt is installed from`,
        next: ['init --help'],
      });
    }
    return createdProject(project, { name, template, cwd, installed: install && fault === undefined });
  }

  get #asks(): boolean {
    return this.flags.yes !== true && canAsk(this.output.session);
  }

  async #folder(): Promise<string> {
    const { dir } = this.args;
    if (dir !== undefined || this.flags.yes) return dir ?? '.';
    const question = { message: 'In which folder?', flag: '<dir>', command, initial: 'my-project' };
    return await askText(
      { ...question, validate: (answer) => (answer.trim() === '' ? 'Name a folder' : undefined) },
      this.output.session,
    );
  }

  async #name(folder: string): Promise<string> {
    const { checkName, nameFault, nameOfFolder } = await import('../lib/app/init/names.ts');
    const { name } = this.flags;
    if (name !== undefined) return checkName(name);
    const initial = nameOfFolder(folder);
    if (!this.#asks) return initial;
    const message = 'What is it called? Its server gets that name, too.';
    return await askText({ message, flag: '--name', command, initial, validate: nameFault }, this.output.session);
  }

  async #template(): Promise<TemplateName> {
    const { template } = this.flags;
    if (template !== undefined || !this.#asks) return template ?? 'mcp-server';
    const choices = [
      { value: 'mcp-server', label: 'An MCP server', hint: 'in TypeScript, with its test' },
      { value: 'minimal', label: 'Configuration only' },
    ];
    const question = { message: 'What do you begin with?', flag: '--template', command, choices };
    const answer = await askSelect(question, this.output.session);
    return templateNames.find((known) => known === answer) ?? 'mcp-server';
  }

  async #install(): Promise<boolean> {
    const { install } = this.flags;
    if (install !== undefined || !this.#asks) return install ?? false;
    const question = { message: 'Run npm install now?', flag: '--install', command, initial: true };
    return await askConfirm(question, this.output.session);
  }
}
