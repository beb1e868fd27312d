import { AppError } from 'systemprompt';
import { defineResourceTemplate } from 'systemprompt/mcp';
import { skillFor, skillIds } from '../skills.ts';

const isId = (text: string): boolean => /^[a-z][a-z0-9_-]{1,63}$/.test(text);

export const skillText = defineResourceTemplate({
  uriTemplate: 'skill://{id}/instructions',
  name: 'skill',
  title: 'Instructions of a skill',
  description: 'What a skill tells a model',
  mimeType: 'text/markdown',
  list: async (context) => (await skillIds(context)).map((id) => ({ uri: `skill://${id}/instructions`, name: id })),
  complete: { id: async (typed, context) => (await skillIds(context)).filter((id) => id.startsWith(typed)) },
  async read({ id = '' }, context) {
    // No skill has another id; and nothing but an id becomes a word of a command.
    if (!isId(id)) return undefined;
    try {
      return (await skillFor(context, id)).instructions;
    } catch (error) {
      if (error instanceof AppError && error.code === 'PRECONDITION' && error.cause !== undefined) return undefined;
      throw error;
    }
  },
});
