import { type TextArtifact, textArtifact, UsageError } from 'systemprompt';
import { defineTool } from 'systemprompt/mcp';
import { z } from 'zod';

export const greet = defineTool({
  name: 'greet',
  title: 'Greet somebody',
  description: 'Greets somebody by name. Use it when the user wants to say hello.',
  input: z.strictObject({ name: z.string().describe('Who is greeted') }),
  output: textArtifact,
  annotations: { readOnlyHint: true, openWorldHint: false },
  // Checked by `systemprompt build mcp`.
  examples: [{ input: { name: 'Ada' }, output: { type: 'text', content: 'Hello Ada, says owner' } }],
  handler({ name }, context): TextArtifact {
    if (name.trim() === '') throw new UsageError('The name is empty', { hint: 'Give the name of a person' });
    context.logger.info('greeting');
    return { type: 'text', content: `Hello ${name}, says ${context.request.user.name}` };
  },
});
