import { randomUUID } from 'node:crypto';
import { rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { tenantOfProfile } from '../../infra/config/active-profile.ts';
import { syncFolder } from '../../infra/config/atomic-file.ts';
import { type Instance, tenantInstance } from '../../infra/config/instance.ts';
import { profileFile, requireProfile } from '../../infra/config/profile.ts';
import { forgetSelection } from '../../infra/config/selection.ts';
import { removeSession } from '../../infra/config/session-file.ts';
import { withTenantsLock } from '../../infra/config/tenants-file.ts';
import { isNotRunning, PreconditionError } from '../../shared/errors.ts';
import { SupervisorClient } from '../supervisor/client.ts';
import { selectedProfile } from './overview.ts';

/**
 * Makes sure that a profile can be deleted.
 * @throws NotFoundError; PreconditionError while it is the active one, or something runs with it
 */
export async function requireDeletable(project: Instance, name: string, cwd: string, env: NodeJS.ProcessEnv) {
  await requireProfile(project, name);
  const active = selectedProfile(project, cwd);
  if (active.name === name) {
    throw new PreconditionError(`The profile \`${name}\` is the active one.`, {
      hint: 'Make another one active first.',
      data: { profile: name },
      next: ['cloud profile list'],
    });
  }
  const tenant = await tenantInstance(project, tenantOfProfile(project.projectDir, name), env);
  if (tenant === undefined || (await runningProfile(tenant)) !== name) return;
  throw new PreconditionError(`The tenant \`${tenant.tenant}\` runs with the profile \`${name}\`.`, {
    hint: 'Stop it first.',
    data: { profile: name, tenant: tenant.tenant },
    next: [`infra services stop --profile ${name}`],
  });
}

/** Removes a profile, what was selected by it, and the sign-in that was kept for it. The tenant and its data stay. */
export async function deleteProfile(project: Instance, name: string): Promise<void> {
  await withTenantsLock(project, async () => {
    const folder = dirname(profileFile(project, name));
    // Gone in one step: what is left of a deletion that was killed is no profile.
    const gone = join(dirname(folder), `.deleted-${randomUUID()}`);
    await rename(folder, gone);
    await syncFolder(dirname(folder));
    await rm(gone, { recursive: true, force: true });
    await forgetSelection(project, name);
    await removeSession(project, name);
  });
}

async function runningProfile({ controlSocket, runDir }: Instance): Promise<string | undefined> {
  try {
    const supervisor = await SupervisorClient.connect(controlSocket, runDir);
    try {
      return (await supervisor.status()).profile;
    } finally {
      await supervisor.close();
    }
  } catch (error) {
    if (isNotRunning(error)) return undefined;
    throw error;
  }
}
