import type { ReconcileResult } from '../../../lib/app/supervisor/status.ts';
import type { TableArtifact } from '../../../lib/shared/artifact.ts';
import { type AppError, ConfigInvalidError, PartialError, UpstreamFailedError } from '../../../lib/shared/errors.ts';

/** The steps of a reconcile; `state` is how the service is now. `notes` are sentences to be shown below. */
export function reconciledTable(
  result: Omit<ReconcileResult, 'valid'>,
  { dryRun, notes = [] }: { readonly dryRun: boolean; readonly notes?: readonly string[] },
): TableArtifact {
  const { steps, services } = result;
  const changes = steps.filter(({ kind }) => kind !== 'keep').length;
  const many = `${changes} ${changes === 1 ? 'step' : 'steps'}`;
  return {
    type: 'table',
    title: changes === 0 ? 'Nothing to change' : dryRun ? `${many} would be taken` : `${many} taken`,
    columns: [
      { name: 'step', column_type: 'string' },
      { name: 'service', column_type: 'string' },
      { name: 'reason', column_type: 'string' },
      { name: 'state', column_type: 'string' },
    ],
    items: steps.map(({ kind, name, reason }) => ({
      step: kind,
      service: name,
      reason,
      state: services.find((service) => service.name === name)?.state ?? null,
    })),
    count: steps.length,
    empty: 'No services found.',
    ...(notes.length === 0 ? {} : { notes: [...notes] }),
  };
}

/** Why a reconcile is no success; undefined when it is one. */
export function reconcileFailure(result: ReconcileResult): AppError | undefined {
  if (!result.valid) {
    return new ConfigInvalidError(result.issues ?? [], {
      hint: 'Nothing was changed: what runs goes on as it is.',
    });
  }
  const [first] = result.failed;
  if (first === undefined) return undefined;
  const reasons = result.failed.map((name) => {
    const service = result.services.find((candidate) => candidate.name === name);
    return `${name}: ${service?.lastError ?? `it is ${service?.state ?? 'not there'}`}`;
  });
  const succeeded = result.services.map(({ name }) => name).filter((name) => !result.failed.includes(name));
  const Class = succeeded.length === 0 ? UpstreamFailedError : PartialError;
  return new Class(`Not as configured: ${reasons.join('; ')}`, {
    // The same files are tried again only when somebody says so.
    next: [`infra services logs ${first}`, `infra services restart ${first}`],
    data: { failed: result.failed, succeeded, steps: result.steps },
  });
}
