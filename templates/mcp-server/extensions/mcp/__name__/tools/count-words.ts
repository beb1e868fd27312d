import { type TableArtifact, tableArtifact } from 'systemprompt';
import { artifactView, defineTool } from 'systemprompt/mcp';
import { z } from 'zod';

export const countWords = defineTool({
  name: 'count_words',
  title: 'Count words',
  description: 'How often each word is in a text, the most frequent first, as a table.',
  input: z.strictObject({
    text: z.string().max(100_000).describe('The text'),
    limit: z.int().min(1).max(1000).default(20).describe('How many words to show'),
  }),
  output: tableArtifact,
  // Clients with MCP Apps show a table to sort and filter.
  ui: artifactView,
  annotations: { readOnlyHint: true, idempotentHint: true, openWorldHint: false },
  examples: [{ input: { text: 'to be or not to be' } }],
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
