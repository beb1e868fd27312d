import { type TableArtifact, type TextArtifact, tableArtifact, textArtifact, UsageError } from 'systemprompt';
import { defineMcpServer, defineTool } from 'systemprompt/mcp';
import { z } from 'zod';

const greet = defineTool({
  name: 'greet',
  title: 'Greet somebody',
  description: 'Greets somebody by name. Use it when the user wants to say hello.',
  input: z.strictObject({ name: z.string().describe('Who is greeted') }),
  output: textArtifact,
  annotations: { readOnlyHint: true, openWorldHint: false },
  handler({ name }, context): TextArtifact {
    if (name.trim() === '') throw new UsageError('The name is empty', { hint: 'Give the name of a person' });
    context.logger.info('greeting');
    return { type: 'text', content: `Hello ${name}, says ${context.request.user.name}` };
  },
});

const countWords = defineTool({
  name: 'count_words',
  title: 'Count words',
  description: 'How often each word is in a text, the most frequent first, as a table.',
  input: z.strictObject({
    text: z.string().max(100_000).describe('The text'),
    limit: z.int().min(1).max(1000).default(20).describe('How many words to show'),
  }),
  output: tableArtifact,
  annotations: { readOnlyHint: true, idempotentHint: true, openWorldHint: false },
  handler({ text, limit }): TableArtifact {
    const counts = new Map<string, number>();
    for (const [word] of text.toLowerCase().matchAll(/[\p{L}\p{N}'’-]+/gu))
      counts.set(word, (counts.get(word) ?? 0) + 1);
    const items = [...counts].sort((a, b) => b[1] - a[1]).map(([word, times]) => ({ word, times }));
    return {
      type: 'table',
      columns: [
        { name: 'word', column_type: 'string' },
        { name: 'times', column_type: 'integer' },
      ],
      items: items.slice(0, limit),
      count: items.length,
      empty: 'No words found.',
    };
  },
});

export const server = defineMcpServer({
  name: '__name__',
  version: '0.1.0',
  description: 'Greets people and counts words',
  instructions: 'Use greet for people and count_words for texts.',
  tools: [greet, countWords],
});
