import type { CommandContext } from '../../lib/app/command-context.ts';
import type { InstanceSignIn } from '../../lib/infra/config/sign-in-store.ts';
import { UsageError } from '../../lib/shared/errors.ts';

/** Which instance a command is about, and how that is known. */
export interface NamedInstance {
  readonly origin: string;
  /** The tenant of the active profile, when the instance is that of the profile. */
  readonly tenant?: string;
}

/**
 * The instance that a command is about: `--url`, else the address of the active profile's, as it runs or would; outside of a project the
 * one that there is a sign-in to.
 * @throws UsageError when that names none, or several
 */
export async function namedInstance(
  context: CommandContext,
  url: string | undefined,
  signIns: ReadonlyMap<string, InstanceSignIn> = new Map(),
): Promise<NamedInstance> {
  const { instanceOrigin } = await import('../../lib/app/cloud-auth/server.ts');
  if (url !== undefined) return { origin: instanceOrigin(url) };
  const { locateProject } = await import('../../lib/infra/config/instance.ts');
  const { options } = context;
  if ((await locateProject(options.cwd, options.env)) !== undefined) {
    const { tenant } = await context.profile();
    return { origin: instanceOrigin(await context.externalUrl()), tenant };
  }
  const [only, ...others] = signIns.keys();
  if (only !== undefined && others.length === 0) return { origin: only };
  throw new UsageError('Which instance? There is no project here whose address it could be', {
    hint:
      signIns.size === 0
        ? 'Give its address: --url https://prompt.example.com'
        : `Give its address with --url: ${[...signIns.keys()].sort().slice(0, 10).join(', ')}`,
    data: { kept: [...signIns.keys()].sort() },
    next: ['cloud auth login --help'],
  });
}
