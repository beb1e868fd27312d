import { relative } from 'node:path';
import type { NewProject } from '../../../lib/app/init/init.ts';
import type { TextArtifact } from '../../../lib/shared/artifact.ts';
import { shellWord } from '../invocation.ts';

/** What `init` has made, and what to do next. */
export function createdProject(
  { folder, files, systemprompt, within }: NewProject,
  facts: { readonly name: string; readonly template: string; readonly cwd: string; readonly installed: boolean },
): TextArtifact {
  const way = relative(facts.cwd, folder);
  const steps = [
    ...(way === '' ? [] : [`cd ${shellWord(way.startsWith('..') ? folder : way)}`]),
    ...(facts.installed ? [] : ['npm install']),
    'npm test',
    'npm start',
  ];
  const notes = [
    ...(systemprompt.startsWith('file:')
      ? [`systemprompt is installed from ${systemprompt.slice('file:'.length)}.`]
      : []),
    ...(within === undefined ? [] : [`It lies in the project ${within}, so it has got an instance of its own.`]),
  ];
  const lines = [
    `${facts.name} is in ${folder}, ${files.length} files.`,
    ...notes,
    '',
    ...steps.map((step) => `  ${step}`),
  ];
  return {
    type: 'text',
    content: lines.join('\n'),
    data: {
      folder,
      name: facts.name,
      template: facts.template,
      files: [...files],
      systemprompt,
      installed: facts.installed,
      steps,
    },
  };
}
