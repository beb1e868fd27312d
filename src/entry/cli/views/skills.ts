import type { WrittenSkill } from '../../../lib/app/skills/skills.ts';
import type { SkillConfig } from '../../../lib/domain/skills/index.ts';
import type { PresentationCardArtifact, TableArtifact, TextArtifact } from '../../../lib/shared/artifact.ts';

export function skillsTable(skills: readonly SkillConfig[]): TableArtifact {
  return {
    type: 'table',
    columns: [
      { name: 'id', column_type: 'string' },
      { name: 'name', column_type: 'string' },
      { name: 'enabled', column_type: 'boolean' },
      { name: 'tags', column_type: 'string' },
      { name: 'description', column_type: 'string' },
    ],
    items: skills.map(({ id, name, enabled, tags, description }) => ({
      id,
      name,
      enabled,
      tags: tags.join(', '),
      description,
    })),
    count: skills.length,
    empty: 'No skills found.',
  };
}

export function skillCard(skill: SkillConfig): PresentationCardArtifact {
  const { id, name, description, instructions, enabled, tags, category, assigned_agents, mcp_servers } = skill;
  const facts = [
    `enabled: ${enabled ? 'yes' : 'no'}`,
    ...(category === undefined ? [] : [`category: ${category}`]),
    ...(tags.length === 0 ? [] : [`tags: ${tags.join(', ')}`]),
    ...(assigned_agents.length === 0 ? [] : [`agents: ${assigned_agents.join(', ')}`]),
    ...(mcp_servers.length === 0 ? [] : [`MCP servers: ${mcp_servers.join(', ')}`]),
  ];
  return {
    type: 'presentation_card',
    title: name,
    subtitle: id,
    sections: [
      { heading: 'When to use it', content: description },
      { heading: 'Facts', content: facts.join('\n') },
      { heading: 'Instructions', content: instructions },
    ],
    data: { ...skill },
  };
}

/** @param what `Created` or `Changed` */
export function writtenSkill(what: string, { id, files }: WrittenSkill): TextArtifact {
  const content =
    files.length === 0 ? `The skill ${id} is as asked already.` : `${what} the skill ${id}: ${files.join(', ')}`;
  return { type: 'text', content, data: { id, files: [...files], changed: files.length > 0 } };
}
