import { defineMcpServer } from 'systemprompt/mcp';
import { analyzeSkill } from './tools/analyze-skill.ts';
import { getSecrets, manageSecrets } from './tools/secrets.ts';
import { createSkill, listSkills, syncSkills, updateSkill } from './tools/skills.ts';

/** Skills and what they need, kept by an agent in its user's name. */
export const server = defineMcpServer({
  name: 'marketplace',
  title: 'Marketplace',
  version: '0.1.0',
  description: 'Makes, changes and examines skills, and says which secrets servers have',
  instructions:
    'list_skills before create_skill: change one that fits rather than make another. analyze_skill after each change. ' +
    'Values of secrets never pass through these tools.',
  tools: [listSkills, createSkill, updateSkill, analyzeSkill, syncSkills, getSecrets, manageSecrets],
});
