import { boolean, string } from '@oclif/core/flags';
import { BaseCommand } from '../../../entry/cli/base-command.ts';
import { namedInstance } from '../../../entry/cli/instance-address.ts';
import { Interrupts } from '../../../entry/cli/interrupt.ts';
import { signInCard } from '../../../entry/cli/views/sign-ins.ts';
import type { DeviceCode } from '../../../lib/app/cloud-auth/grants.ts';
import type { Artifact } from '../../../lib/shared/artifact.ts';
import type { CommandDeclaration } from '../../../lib/shared/command.ts';
import { CancelledError } from '../../../lib/shared/errors.ts';

export default class CloudLogin extends BaseCommand<typeof CloudLogin> {
  static override summary = 'Sign in to an instance; a local tenant needs none';
  static override description =
    'With the browser of this machine, or where there is none (over SSH, without a display, in a pipeline) by a code that is ' +
    'entered in any browser; with --json address and code are lines of their own. What runs on this machine is yours by the ' +
    'rights of your user account: the command says so, and signs in all the same when --url, --browser or --device asks for it.';
  static override examples = [
    '<%= config.bin %> cloud auth login --url https://prompt.example.com',
    '<%= config.bin %> cloud auth login --url https://prompt.example.com --device',
    '<%= config.bin %> cloud auth login --url https://prompt.example.com --scope user --scope admin',
  ];
  static override declaration: CommandDeclaration = {
    effect: 'write',
    permission: 'anonymous',
    needs: 'none',
    localOnly: true,
  };
  static override flags = {
    url: string({ helpValue: '<address>', summary: 'Of the instance; that of the active profile without it' }),
    browser: boolean({ exclusive: ['device'], summary: 'With a browser on this machine' }),
    device: boolean({ exclusive: ['browser'], summary: 'By a code that is entered in any browser' }),
    scope: string({
      multiple: true,
      multipleNonGreedy: true,
      helpValue: '<scope>',
      summary: 'Ask for this scope only; may be repeated',
    }),
  };

  protected async execute(): Promise<Artifact> {
    const { url, browser, device } = this.flags;
    const asked = url !== undefined || browser === true || device === true;
    const local = asked ? undefined : await this.#localTenant();
    if (local !== undefined) return local;
    const { origin } = await namedInstance(this.context, url);

    const { discoverInstance } = await import('../../../lib/app/cloud-auth/server.ts');
    const { CloudSignIns } = await import('../../../lib/app/cloud-auth/sign-ins.ts');
    const { SignInStore } = await import('../../../lib/infra/config/sign-in-store.ts');
    const { env } = this.context.options;
    const store = new SignInStore(env);
    await store.list(); // a file that can't be used is told of before anybody signs in
    const server = await discoverInstance(origin);
    using interrupts = new Interrupts();
    const wish = { scopes: this.flags.scope ?? server.scopes, signal: interrupts.signal };
    const { by, granted } = await this.#granted(server, wish).catch((error: unknown) => {
      const signal = interrupts.first;
      throw signal === undefined ? error : new CancelledError('Interrupted; nobody is signed in', { data: { signal } });
    });
    const signIns = new CloudSignIns(store);
    const kept = await signIns.keep(server, by, granted);
    return signInCard(`Signed in as ${kept.user}`, { ...kept, origin, issuer: server.issuer }, kept);
  }

  async #granted(
    server: Parameters<typeof import('../../../lib/app/cloud-auth/grants.ts').grantByBrowser>[0],
    wish: Parameters<typeof import('../../../lib/app/cloud-auth/grants.ts').grantByBrowser>[1],
  ) {
    const { grantByBrowser, grantByDevice } = await import('../../../lib/app/cloud-auth/grants.ts');
    const { browserProgram, openInBrowser } = await import('../../../lib/infra/process/open-browser.ts');
    const { env } = this.context.options;
    const program = browserProgram(env);
    const nobody = this.output.session.nonInteractive || program === undefined;
    if (this.flags.device || (nobody && !this.flags.browser)) {
      const granted = await grantByDevice(server, wish, (code) => this.#showCode(code));
      return { by: 'device' as const, granted };
    }
    const granted = await grantByBrowser(server, wish, async (address) => {
      const opened = program !== undefined && (await openInBrowser(program, address, env));
      this.#showAddress(address, opened);
    });
    return { by: 'browser' as const, granted };
  }

  #showAddress(address: URL, opened: boolean): void {
    const { json } = this.output.session;
    if (json) {
      this.output.line('', { event: 'browser', address: address.href, opened });
      return;
    }
    const first = opened
      ? 'The browser shows where to sign in. If it does not, open:'
      : 'Open in a browser of this machine:';
    this.output.note(`${first}\n\n  ${address.href}\n`);
  }

  #showCode({ userCode, address, completeAddress, expiresIn }: DeviceCode): void {
    if (this.output.session.json) {
      this.output.line('', {
        event: 'device_code',
        user_code: userCode,
        verification_uri: address,
        verification_uri_complete: completeAddress ?? null,
        expires_in: expiresIn,
      });
      return;
    }
    const minutes = Math.max(1, Math.floor(expiresIn / 60));
    this.output.note(
      `Open in any browser, within ${minutes} minutes:\n\n  ${address}\n\nand enter the code:\n\n  ${userCode}\n`,
    );
  }

  /** That nothing has to be signed in to here; undefined where that is not so. */
  async #localTenant(): Promise<Artifact | undefined> {
    const { locateProject } = await import('../../../lib/infra/config/instance.ts');
    const { options } = this.context;
    const project = await locateProject(options.cwd, options.env);
    if (project === undefined) return notNeeded('A local tenant needs no account: go on and create one.', undefined);
    const { activeProfile, tenantOfProfile } = await import('../../../lib/infra/config/active-profile.ts');
    const { readTenants } = await import('../../../lib/infra/config/tenants-file.ts');
    const tenant = tenantOfProfile(project.projectDir, activeProfile(project, options).name);
    const record = (await readTenants(project)).find(({ id }) => id === tenant);
    if (record?.tenant_type === 'cloud') return undefined;
    return notNeeded(`The tenant ${tenant} is a local one and needs no account: nothing to sign in to.`, tenant);
  }
}

function notNeeded(content: string, tenant: string | undefined): Artifact {
  return { type: 'text', content, data: { needed: false, tenant: tenant ?? null } };
}
