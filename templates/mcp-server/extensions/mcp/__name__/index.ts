import { defineMcpServer } from 'systemprompt/mcp';
import { introduce } from './prompts/introduce.ts';
import { languages } from './resources/languages.ts';
import { greeting } from './templates/greeting.ts';
import { countWords } from './tools/count-words.ts';
import { greet } from './tools/greet.ts';

export const server = defineMcpServer({
  name: '__name__',
  version: '0.1.0',
  description: 'Greets people and counts words',
  instructions: 'Use greet for people and count_words for texts.',
  tools: [greet, countWords],
  prompts: [introduce],
  resources: [languages],
  resourceTemplates: [greeting],
});
