import { InternalError, presentationCardArtifact } from 'systemprompt';
import { artifactView, defineTool } from 'systemprompt/mcp';
import { z } from 'zod';
import { analysisOf } from '../analysis.ts';
import { run } from '../cli.ts';
import { skillId } from './skills.ts';

const skill = z.object({
  id: z.string(),
  name: z.string(),
  description: z.string(),
  instructions: z.string(),
  enabled: z.boolean(),
  tags: z.array(z.string()),
  mcp_servers: z.array(z.string()),
});

export const analyzeSkill = defineTool({
  name: 'analyze_skill',
  title: 'Analyze a skill',
  description:
    'Measures a skill and finds what a model would stumble over: a description that does not say when, instructions that are too long or have gaps, links to nowhere. No model is asked: the same skill gives the same findings.',
  input: z.strictObject({ skill_id: skillId }),
  output: presentationCardArtifact,
  ui: artifactView,
  annotations: { readOnlyHint: true, idempotentHint: true, openWorldHint: false },
  examples: [{ input: { skill_id: 'blog_writing' } }],
  async handler({ skill_id }, context) {
    const shown = await run(context, ['core', 'skills', 'show', skill_id]);
    const parsed = skill.safeParse(shown.type === 'presentation_card' ? shown.data : undefined);
    if (!parsed.success) throw new InternalError('The command answered with something else than a skill');
    const { findings, measures } = analysisOf(parsed.data);
    return {
      type: 'presentation_card' as const,
      title: parsed.data.name,
      subtitle: findings.length === 0 ? 'Nothing stands out' : `${findings.length} to look at`,
      sections: [
        ...(findings.length === 0
          ? []
          : [
              { heading: 'Findings', content: findings.map(({ message, hint }) => `- ${message}: ${hint}`).join('\n') },
            ]),
        {
          heading: 'Measures',
          content: Object.entries(measures)
            .map(([key, value]) => `${key}: ${value}`)
            .join('\n'),
        },
      ],
      data: { skill_id, findings, measures },
    };
  },
});
