import { definePrompt } from 'systemprompt/mcp';
import { z } from 'zod';

const tones = ['friendly', 'formal'] as const;

export const introduce = definePrompt({
  name: 'introduce',
  title: 'Introduce somebody',
  description: 'Has somebody introduced to the others',
  arguments: z.object({
    name: z.string().describe('Who'),
    tone: z.enum(tones).default('friendly'),
  }),
  complete: { tone: (typed) => tones.filter((tone) => tone.startsWith(typed)) },
  handler: ({ name, tone }) =>
    `Greet ${name} with the tool greet, then introduce ${name} to the others in a ${tone} tone.`,
});
