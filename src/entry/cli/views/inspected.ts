import type { McpDescription } from '../../../lib/app/mcp-client.ts';
import type { PresentationCardArtifact } from '../../../lib/shared/artifact.ts';

/** What a server says of itself; in its words, but for the headings. */
export function inspectedCard(name: string, server: McpDescription): PresentationCardArtifact {
  const { info, capabilities, instructions, protocol, tools, prompts, resources, templates } = server;
  const all = (heading: string, lines: readonly string[] | undefined) =>
    lines === undefined ? [] : [{ heading: `${heading} (${lines.length})`, content: lines.join('\n') || 'none' }];
  const others = protocol.supported.filter((version) => version !== protocol.negotiated);
  return {
    type: 'presentation_card',
    title: info?.title ?? info?.name ?? name,
    subtitle: [name, ...(info === undefined ? [] : [`${info.name} ${info.version}`])].join(', '),
    sections: [
      {
        heading: 'Protocol',
        content: [
          `${protocol.negotiated ?? 'unknown'} is spoken`,
          ...(others.length === 0 ? [] : [`also offered: ${others.join(', ')}`]),
        ].join('\n'),
      },
      { heading: 'Capabilities', content: capabilityLines(capabilities).join('\n') || 'none' },
      ...(instructions === undefined || instructions === ''
        ? []
        : [{ heading: 'Instructions', content: instructions }]),
      ...all(
        'Tools',
        tools?.map(({ name: tool, description }) => line(tool, description)),
      ),
      ...all(
        'Prompts',
        prompts?.map(({ name: prompt, description }) => line(prompt, description)),
      ),
      ...all(
        'Resources',
        resources?.map(({ uri, name: resource, description }) => line(uri, description ?? resource)),
      ),
      ...all(
        'Resource templates',
        templates?.map(({ uriTemplate, name: template, description }) => line(uriTemplate, description ?? template)),
      ),
    ],
    data: { server: name, ...server },
  };
}

/** `tools: listChanged`. */
function capabilityLines(capabilities: McpDescription['capabilities']): string[] {
  return Object.entries(capabilities).map(([name, what]) => {
    const marks = typeof what === 'object' && what !== null ? Object.keys(what) : [];
    return marks.length === 0 ? name : `${name}: ${marks.join(', ')}`;
  });
}

/** The first line of a description is enough here; all of it is in the data. */
function line(name: string, description: string | undefined): string {
  const [first = ''] = (description ?? '').trim().split('\n');
  return first === '' ? name : `${name}: ${first}`;
}
