import type { InstallPlan } from '../../../lib/app/boot-service/install.ts';
import type { ManagerStep } from '../../../lib/app/boot-service/manager.ts';
import type { BootFile } from '../../../lib/app/boot-service/service.ts';
import type { CopyPasteTextArtifact, PresentationCardArtifact } from '../../../lib/shared/artifact.ts';

/** The file as it would be written, ready to be looked at or put in its place by hand. */
export function plannedFile(plan: InstallPlan): CopyPasteTextArtifact {
  const { file, content, account, present } = plan;
  return {
    type: 'copy_paste_text',
    title: `${file.path} (runs as ${account})`,
    content,
    language: file.manager === 'systemd' ? 'ini' : 'xml',
    data: {
      path: file.path,
      name: file.name,
      scope: file.scope,
      account,
      present,
      commands: plan.commands.map((words) => words.join(' ')),
      hints: plan.hints,
    },
  };
}

/** What was done and what is left to do after an install or an uninstall. */
export function bootServiceCard(
  title: string,
  file: BootFile,
  steps: readonly ManagerStep[],
  hints: readonly string[],
): PresentationCardArtifact {
  const lines = (state: ManagerStep['state']): string =>
    steps
      .filter((step) => step.state === state)
      .map(({ command, output }) => (output === '' ? command : `${command}\n  ${output}`))
      .join('\n');
  const sections = [
    { heading: 'Done', content: lines('done') },
    { heading: 'Failed', content: lines('failed') },
    { heading: `${file.manager} is not within reach here; run yourself`, content: lines('due') },
    { heading: 'Note', content: hints.join('\n') },
  ].filter(({ content }) => content !== '');
  return {
    type: 'presentation_card',
    title,
    subtitle: file.path,
    sections,
    data: { path: file.path, name: file.name, scope: file.scope, steps, hints },
  };
}
