import { defineResourceTemplate } from 'systemprompt/mcp';
import { words } from '../resources/languages.ts';

export const greeting = defineResourceTemplate({
  uriTemplate: 'greetings://in/{language}',
  name: 'greeting',
  title: 'How to greet in a language',
  list: () => Object.keys(words).map((language) => ({ uri: `greetings://in/${language}`, name: language })),
  complete: { language: (typed) => Object.keys(words).filter((language) => language.startsWith(typed)) },
  // Undefined: there is no such resource.
  read: ({ language = '' }) => words[language],
});
